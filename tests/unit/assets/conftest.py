"""Real servers on loopback that answer as they are told, and fetchers that trust them."""

import asyncio
import functools
import hashlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from receiver.assets import Fetched
from receiver.assets.fetch import Fetcher
from tests.servers.seaweedfs import S3Server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HOST = "cdn.example.com"
VECTORS = Path(__file__).parents[2] / "vectors" / "asset_fetch.json"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 2000

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def vectors(kind: str) -> list[dict[str, Any]]:
    return [row for row in json.loads(VECTORS.read_text()) if row["kind"] == kind]


def response(body: bytes = PNG, *headers: str, status: str = "200 OK") -> bytes:
    """Return a whole HTTP/1.1 response; Content-Length is the caller's to add."""
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode() + body


def whole(body: bytes = PNG, *headers: str, status: str = "200 OK") -> bytes:
    return response(body, f"Content-Length: {len(body)}", *headers, status=status)


def chunked(*parts: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return response(chunks + b"0\r\n\r\n", "Transfer-Encoding: chunked")


async def write_until_hung_up(writer: asyncio.StreamWriter, block: bytes, *, every_s: float = 0) -> None:
    while not writer.is_closing():
        writer.write(block)
        await writer.drain()
        await asyncio.sleep(every_s)


class RawServer:
    """Counts connections, records request heads, and answers each once; or every request, if it *stays*."""

    def __init__(self, answer: bytes | Answer, *, stays: bool = False) -> None:
        self.connections = 0
        self.ended = 0
        self._stays = stays
        self.requests: list[bytes] = []
        self.port = 0
        self._answer = answer
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self, tls: ssl.SSLContext | None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, path: str = "/o/gen_1.png", *, scheme: str = "https") -> str:
        return f"{scheme}://{HOST}:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await self._answer_one(reader, writer)
            while self._stays:
                await self._answer_one(reader, writer)
        writer.close()
        self.ended += 1
        self._tasks.discard(task)

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        if isinstance(self._answer, bytes):
            writer.write(self._answer)
            await writer.drain()
        else:
            await self._answer(writer)


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


Serve = Callable[..., Awaitable[RawServer]]
MakeFetcher = Callable[..., Fetcher]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def _server_tls(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
async def serve(authority: trustme.CA) -> AsyncIterator[Serve]:
    """Return a function that starts a server with a fixed or a written answer."""
    servers: list[RawServer] = []

    async def start(
        answer: bytes | Answer, *, tls: bool = True, name: str = HOST, stays: bool = False
    ) -> RawServer:
        server = RawServer(answer, stays=stays)
        await server.start(_server_tls(authority, name) if tls else None)
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def make_fetcher(authority: trustme.CA, tmp_path: Path) -> AsyncIterator[MakeFetcher]:
    """Return a function that makes a fetcher to which the CDN is on loopback, by the operator's leave."""
    fetchers: list[Fetcher] = []
    context, unnamed = (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2))
    unnamed.check_hostname = False
    for each in (context, unnamed):
        authority.configure_trust(each)

    def make(**settings: Any) -> Fetcher:
        defaults: dict[str, Any] = {
            "allow": (HOST,),
            "resolve": answers("127.0.0.1"),
            "ssl_context": context,
            "unnamed_ssl_context": lambda: unnamed,
            "spool_dir": tmp_path / "spool",
            "total_timeout_s": 10,
        }
        fetchers.append(Fetcher(**(defaults | settings)))
        return fetchers[-1]

    yield make
    for fetcher in fetchers:
        await fetcher.aclose()


def answers(*rounds: str | Iterable[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    """Return a resolver that gives each of *rounds* in turn, the last one for ever."""
    left = [[r] if isinstance(r, str) else list(r) for r in rounds]

    async def resolve(_host: str, _port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


@pytest.fixture
def asset(tmp_path: Path) -> Callable[..., Fetched]:
    """Return a function that makes a downloaded asset of the bytes given."""

    def make(data: bytes = PNG, *, content_type: str = "image/png") -> Fetched:
        digest = hashlib.sha256(data).hexdigest()
        path = tmp_path / f"spooled-{digest[:16]}"
        path.write_bytes(data)
        return Fetched(path, len(data), digest, content_type)

    return make


@pytest.fixture(scope="module")
def s3(s3_server: S3Server) -> Iterator["S3Client"]:
    client = s3_server.client()
    yield client
    client.close()


@pytest.fixture
def credentials(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
