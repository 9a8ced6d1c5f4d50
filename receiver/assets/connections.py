"""HTTP/1.1 connections to asset hosts, reused while they last.

Each connection passed the address gate when it was opened, and is reused only for the same scheme, host and
port. If bytes follow the end of an answer, the connection is closed: they would pass for the next answer.
httpcore2's pool does not check for them, and needs several times the CPU.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import httpcore2

from receiver.assets.answer import Answer, Headers, HungUp, Malformed
from receiver.assets.guard import Target

Dial = Callable[[str, int, float], Awaitable[httpcore2.AsyncNetworkStream]]
"""Opens a connection to a host and port, within this many seconds."""

_IDLE_S: Final = 4.0
"""Most servers close idle connections after 5 s or more."""
_READ_BYTES: Final = 256 * 1024
_REQUEST: Final = b"".join(
    (
        b"GET %b HTTP/1.1\r\nHost: %b\r\n",
        b"Accept: */*\r\nAccept-Encoding: identity\r\nUser-Agent: avs-receiver\r\n\r\n",
    )
)

_Origin = tuple[str, str, int]


class Response:
    """An answer, after its head was read."""

    def __init__(self, connection: "_Connection", answer: Answer, release: Callable[[], None]) -> None:
        self._connection = connection
        self._answer = answer
        self._release = release
        self.status = answer.status
        self.headers: Headers = answer.headers

    @property
    def is_whole(self) -> bool:
        """Whether the body is complete."""
        return self._answer.is_whole

    async def part(self) -> bytes:
        """Return the next piece of the body; nothing at its end.

        Raises:
            httpcore2.NetworkError, HungUp, Malformed: it was cut, or its framing is wrong.
        """
        while not (part := self._answer.take()) and not self._answer.is_whole:
            await self._connection.read(self._answer)
        return part

    async def aclose(self) -> None:
        """Keep the connection for reuse if the whole answer was read, else close it."""
        if self._answer.may_be_followed:
            self._release()
        else:
            await self._connection.stream.aclose()


class Connections:
    """Sends requests to hosts, over kept connections if possible; any number at once."""

    def __init__(self, dial: Dial, ssl_context: ssl.SSLContext) -> None:
        """Open no connection yet."""
        ssl_context.set_alpn_protocols(["http/1.1"])
        self._dial = dial
        self._ssl_context = ssl_context
        self._idle: dict[_Origin, list[_Connection]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def get(self, target: Target, *, connect_timeout_s: float) -> Response:
        """Request *target*; the caller closes the answer.

        Raises:
            httpcore2.NetworkError, httpcore2.TimeoutException, HungUp: no connection, or it was cut.
            Malformed: what came is no answer.
        """
        request = _REQUEST % (target.path_and_query.encode(), target.authority.encode())
        origin = (target.scheme, target.host, target.port)
        while kept := await self._take(origin):
            # A host may hang up just when the next request is sent.
            with suppress(httpcore2.NetworkError, HungUp, Malformed):
                return await self._ask(kept, request, origin)
        return await self._ask(await self._open(target, connect_timeout_s), request, origin)

    async def aclose(self) -> None:
        """Close what is kept."""
        idle = [connection for kept in self._idle.values() for connection in kept]
        self._idle.clear()
        for connection in idle:
            await connection.stream.aclose()

    async def _ask(self, connection: "_Connection", request: bytes, origin: _Origin) -> Response:
        """Send *request*; return once the head of the answer has come."""
        answer = Answer()
        try:
            with suppress(httpcore2.WriteError):  # there may still be an answer
                await connection.stream.write(request)
            while not answer.status:
                await connection.read(answer)
        except BaseException:
            await connection.stream.aclose()
            raise
        return Response(connection, answer, lambda: self._keep(origin, connection))

    async def _open(self, target: Target, timeout_s: float) -> "_Connection":
        stream = await self._dial(target.host, target.port, timeout_s)
        if target.scheme == "https":
            try:
                stream = await stream.start_tls(self._ssl_context, target.host, timeout_s)
            except BaseException:
                await stream.aclose()
                raise
        return _Connection(stream)

    async def _take(self, origin: _Origin) -> "_Connection | None":
        while kept := self._idle.get(origin):
            connection = kept.pop()
            if not kept:
                del self._idle[origin]
            # Anything that came and nobody asked for; the end of the connection, for one.
            if not connection.stream.get_extra_info("is_readable"):
                return connection
            await connection.stream.aclose()
        return None

    def _keep(self, origin: _Origin, connection: "_Connection") -> None:
        connection.answers += 1
        self._idle.setdefault(origin, []).append(connection)
        asyncio.get_running_loop().call_later(_IDLE_S, self._expire, origin, connection, connection.answers)

    def _expire(self, origin: _Origin, connection: "_Connection", answers: int) -> None:
        """Close *connection* if it has not been used since."""
        kept = self._idle.get(origin, [])
        if connection in kept and connection.answers == answers:
            kept.remove(connection)
            if not kept:
                del self._idle[origin]
            task = asyncio.create_task(connection.stream.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


@dataclass(slots=True, eq=False)
class _Connection:
    """One connection, for one request after another."""

    stream: httpcore2.AsyncNetworkStream
    answers: int = 0

    async def read(self, answer: Answer) -> None:
        """Feed *answer* with the next bytes."""
        if data := await self.stream.read(_READ_BYTES):
            answer.feed(data)
        else:
            answer.end()
