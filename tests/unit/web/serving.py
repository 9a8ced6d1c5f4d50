"""The public application on a real socket, over a store that a test scripts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Final, Self

from receiver.errors import StoreUnavailable
from receiver.listener import listen
from receiver.receive import Source
from receiver.signatures import sign
from receiver.store.record import Entry, Recorded, RecordResult
from receiver.web.app import PublicApp
from receiver.web.server import Server
from tests.answer import Answer

SECRET: Final = b"whsec_0123456789abcdef"
SOURCES: Final = {
    "photoverse": Source("photoverse", (SECRET,)),
    "acme": Source("acme", (SECRET,), "X-Acme-Signature"),
}
WITHIN_S: Final = 60.0


@dataclass
class FakeStore:
    """Keeps what it is given; fails while *error* is set; answers by *answer*."""

    error: Exception | None = None
    answer: Callable[[Entry], RecordResult] = lambda entry: Recorded(entry.id)
    entries: list[Entry] = field(default_factory=list)
    checks: int = 0

    async def record(self, entry: Entry) -> RecordResult:
        if self.error:
            raise self.error
        self.entries.append(entry)
        return self.answer(entry)

    async def check(self) -> None:
        self.checks += 1
        if self.error:
            raise StoreUnavailable(str(self.error))


@dataclass(frozen=True)
class Wire:
    """One connection, spoken byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> Self:
        self.writer.write(data)
        await self.writer.drain()
        return self

    async def hear(self) -> Answer:
        """Read one answer with a Content-Length."""
        async with asyncio.timeout(WITHIN_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, *lines = head.rstrip("\r\n").split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(int(status.split(" ")[1]), headers, body)

    async def rest(self) -> bytes:
        """Read until the other side hangs up."""
        async with asyncio.timeout(WITHIN_S):
            return await self.reader.read()


@dataclass(frozen=True)
class Site:
    """A served application."""

    port: int

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with closing(writer):
            yield Wire(reader, writer)

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request on a connection of its own."""
        async with self.wire() as wire:
            await wire.say(request(method, path, body, headers))
            return await wire.hear()

    async def deliver(self, body: bytes, *, now: int, path: str = "/webhooks/photoverse") -> Answer:
        """Post *body*, genuinely signed."""
        return await self.request("POST", path, body, signed(body, now=now))


def signed(body: bytes, *, now: int, name: str = "X-Webhook-Signature") -> dict[str, str]:
    """Return the header that signs *body*."""
    return {name: sign(body, secret=SECRET, timestamp=now)}


def request(method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """Write a request by hand."""
    lines = {"Host": "receiver", "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


@asynccontextmanager
async def served(app: PublicApp, *, shutdown_delay_s: float = 0) -> AsyncIterator[Site]:
    """Serve *app* as production does, on a free loopback port."""
    server = Server(app, shutdown_delay_s=shutdown_delay_s)
    listener = listen("127.0.0.1", 0)
    server.start(listener)
    try:
        yield Site(listener.getsockname()[1])
    finally:
        await server.stop()
