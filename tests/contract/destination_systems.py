"""The systems that the destination contract is run on, and the hands to break each of them."""

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, Protocol, cast

import pytest
import redis.asyncio

from receiver.destinations import Destination, Message, open_destination
from receiver.destinations.stdout import Options as StdoutOptions
from receiver.destinations.stdout import Stdout
from tests.messages import message
from tests.servers.http_sink import Answer, HttpSink, Received, http_sink
from tests.servers.sqs import SqsServer
from tests.servers.valkey import ValkeyServer


class System(Protocol):
    """One real system, opened through the destination under test and read as its consumers would."""

    def connect(self, *, timeout_s: float = 10.0) -> Destination: ...
    async def received(self) -> list[bytes]:
        """Return every body that a consumer has been able to read so far."""
        ...

    async def down(self) -> None: ...
    async def up(self) -> None: ...
    async def hang(self) -> None:
        """Accept connections, and answer nothing until `resume`."""
        ...

    async def resume(self) -> None: ...


class FileSystem:
    """A JSON Lines file; it is down when its folder is something else."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "events"
        self._path = self._folder / "events.jsonl"
        self._aside = root / "aside"
        self._lock: int | None = None

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return open_destination("queue", f"file://{self._path}", {"timeout_s": str(timeout_s)})

    async def received(self) -> list[bytes]:
        return self._path.read_bytes().splitlines()

    async def down(self) -> None:
        if self._folder.exists():
            self._folder.rename(self._aside)
        self._folder.write_bytes(b"in the way")

    async def up(self) -> None:
        self._folder.unlink()
        if self._aside.exists():
            self._aside.rename(self._folder)

    async def hang(self) -> None:
        self._folder.mkdir(exist_ok=True)
        self._lock = os.open(self._path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    async def resume(self) -> None:
        assert self._lock is not None
        os.close(self._lock)


class Pipe:
    """Standard output piped into a reader, under a descriptor of our own."""

    def __init__(self) -> None:
        self._fd = os.open(os.devnull, os.O_WRONLY)
        self._lines: list[bytes] = []
        self._reader: threading.Thread | None = None
        self._read_end = -1
        self._hangs = False
        self._open()

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return Stdout(StdoutOptions(timeout_s=timeout_s), fd=self._fd)

    async def received(self) -> list[bytes]:
        await self._finish()
        self._open()
        return [line for line in b"".join(self._lines).splitlines() if line not in (b"", b"-" * 100)]

    async def down(self) -> None:
        if not self._hangs:
            await self._finish()
            self._open(read=False)
        self._hangs = False
        os.close(self._read_end)

    async def up(self) -> None:
        self._open()

    async def hang(self) -> None:
        await self._finish()
        self._open(read=False)
        os.set_blocking(self._fd, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self._fd, b"-" * 100 + b"\n")
        os.set_blocking(self._fd, True)
        self._hangs = True

    async def resume(self) -> None:
        if self._hangs:
            self._read()
        self._hangs = False

    async def close(self) -> None:
        await self._finish()
        os.close(self._fd)

    def _open(self, *, read: bool = True) -> None:
        self._read_end, write_end = os.pipe()
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
        os.dup2(write_end, self._fd)
        os.close(write_end)
        if read:
            self._read()

    def _read(self) -> None:
        self._reader = threading.Thread(target=self._drain, args=(self._read_end,))
        self._reader.start()

    def _drain(self, read_end: int) -> None:
        while chunk := os.read(read_end, 65536):
            self._lines.append(chunk)
        os.close(read_end)

    async def _finish(self) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._fd)
        os.close(null)
        if self._reader is not None:
            await asyncio.to_thread(self._reader.join)
            self._reader = None


class Http:
    """A webhook consumer that takes each event once, by its Idempotency-Key."""

    def __init__(self, sink: HttpSink) -> None:
        self._sink = sink
        self.refused: set[str] = set()
        sink.answer = self._answer

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return open_destination("queue", self._sink.url, {"timeout_s": str(timeout_s)})

    def refuse(self, bad: Message) -> Message:
        self.refused.add(bad.id)
        return bad

    async def received(self) -> list[bytes]:
        return [r.body for r in self._sink.received if r.headers["idempotency-key"] not in self.refused]

    async def down(self) -> None:
        await self._sink.stop()

    async def up(self) -> None:
        self._sink.may_answer.set()
        await self._sink.start()

    async def hang(self) -> None:
        self._sink.may_answer.clear()

    async def resume(self) -> None:
        self._sink.may_answer.set()

    def _answer(self, request: Received) -> Answer:
        return Answer(422 if request.headers["idempotency-key"] in self.refused else 202)


class Redis:
    """A stream on a real Valkey."""

    def __init__(self, server: ValkeyServer, stream: str) -> None:
        self._server = server
        self._stream = stream

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return open_destination(
            "queue", f"{self._server.url}?stream={self._stream}", {"timeout_s": str(timeout_s)}
        )

    async def received(self) -> list[bytes]:
        async with redis.asyncio.Redis.from_url(self._server.url, protocol=2) as client:
            entries = cast("list[Any]", await client.xrange(self._stream))
        return [fields[b"event"] for _, fields in entries]

    async def down(self) -> None:
        self._server.kill()

    async def up(self) -> None:
        self._server.start()

    async def hang(self) -> None:
        self._server.freeze()

    async def resume(self) -> None:
        self._server.thaw()


class Sqs:
    """A queue on moto, which forgets it when killed: what was delivered before is consumed first."""

    def __init__(self, server: SqsServer, queue_url: str) -> None:
        self._server = server
        self._queue_url = queue_url
        self._consumed: list[bytes] = []
        self._hangs = False

    def connect(self, *, timeout_s: float = 10.0) -> Destination:
        return open_destination("queue", f"sqs:{self._queue_url}", {"timeout_s": str(timeout_s)})

    def refuse(self, bad: Message) -> Message:
        """Return *bad* grown beyond what SQS takes."""
        return message(int(bad.generation_id.removeprefix("gen_")), prompt="x" * 1_048_576)

    async def received(self) -> list[bytes]:
        await asyncio.to_thread(self._consume)
        return self._consumed

    async def down(self) -> None:
        if not self._hangs:
            await asyncio.to_thread(self._consume)
        self._hangs = False
        self._server.kill()

    async def up(self) -> None:
        self._server.start()
        self._server.create_queue(self._queue_url.rpartition("/")[2])

    async def hang(self) -> None:
        await asyncio.to_thread(self._consume)
        self._hangs = True
        self._server.freeze()

    async def resume(self) -> None:
        self._hangs = False
        self._server.thaw()

    def _consume(self) -> None:
        client = self._server.client()
        while found := client.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            self._consumed += [each["Body"].encode() for each in found]
            entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(found)]
            client.delete_message_batch(QueueUrl=self._queue_url, Entries=cast("Any", entries))
        client.close()


@contextlib.asynccontextmanager
async def _file(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    yield FileSystem(request.getfixturevalue("tmp_path"))


@contextlib.asynccontextmanager
async def _stdout(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    pipe = Pipe()
    try:
        yield pipe
    finally:
        await pipe.close()


@contextlib.asynccontextmanager
async def _http(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    async with http_sink() as sink:
        yield Http(sink)


@contextlib.asynccontextmanager
async def _redis(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    server: ValkeyServer = request.getfixturevalue("valkey_server")
    yield Redis(server, f"events-{id(request.node)}")
    server.thaw()


def _sqs(queue_fixture: str) -> Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[System]]:
    @contextlib.asynccontextmanager
    async def open_system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
        server: SqsServer = request.getfixturevalue("sqs_server")
        yield Sqs(server, request.getfixturevalue(queue_fixture))
        server.thaw()

    return open_system


SYSTEMS: Final[dict[str, Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[System]]]] = {
    "file": _file,
    "stdout": _stdout,
    "http": _http,
    "redis": _redis,
    "sqs": _sqs("sqs_queue"),
    "sqs-fifo": _sqs("sqs_fifo_queue"),
}
