"""HTTP/1.1 connections to asset hosts, used again while they last.

h11 speaks the protocol over what a `Dial` opened. Each connection passed the address gate as it was dialled,
and is used again for the same scheme, host and port only. One that holds bytes after the end of an answer is
closed: they would pass for the beginning of the next. httpcore2's pool does not look for them, and takes
three times the CPU.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final, cast

import h11
import httpcore2

from receiver.assets.guard import Target

Headers = list[tuple[bytes, bytes]]
Dial = Callable[[str, int, float], Awaitable[httpcore2.AsyncNetworkStream]]
"""Opens a connection to a host and port, within this many seconds."""

_IDLE_S: Final = 4.0
"""Most servers hang up after 5 s or more."""
_READ_BYTES: Final = 64 * 1024
_MAX_EVENT_BYTES: Final = 100 * 1024

_Origin = tuple[str, str, int]


class Response:
    """An answer whose head was read."""

    def __init__(
        self,
        connection: "_Connection",
        head: h11.Response | h11.InformationalResponse,
        give_back: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._give_back = give_back
        self.status = head.status_code
        self.headers: Headers = head.headers.raw_items()

    async def part(self) -> bytes:
        """Return what comes next of the body; nothing at its end.

        Raises:
            httpcore2.NetworkError, httpcore2.ProtocolError: it was cut, or its framing is wrong.
        """
        event = await self._connection.next_event()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def aclose(self) -> None:
        """Let the connection serve others if the whole answer was read, and close it otherwise."""
        if self._connection.is_done():
            self._give_back()
        else:
            await self._connection.aclose()


class Connections:
    """Asks hosts, over kept connections where there are some; any number at once."""

    def __init__(self, dial: Dial, ssl_context: ssl.SSLContext) -> None:
        """Connect nowhere yet."""
        ssl_context.set_alpn_protocols(["http/1.1"])
        self._dial = dial
        self._ssl_context = ssl_context
        self._idle: dict[_Origin, list[_Connection]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def get(self, target: Target, headers: Headers, *, connect_timeout_s: float) -> Response:
        """Ask for *target*; the caller closes the answer.

        Raises:
            httpcore2.NetworkError, httpcore2.TimeoutException: no connection, or it was cut.
            httpcore2.ProtocolError: what came is no answer; if the host hung up instead, the library's text.
        """
        request = h11.Request(method="GET", target=target.path_and_query, headers=headers)
        origin = (target.scheme, target.host, target.port)
        while kept := await self._take(origin):
            # A host may hang up just when it is asked again.
            with suppress(httpcore2.NetworkError, httpcore2.ProtocolError):
                return await self._ask(kept, request, origin)
        return await self._ask(await self._open(target, connect_timeout_s), request, origin)

    async def aclose(self) -> None:
        """Close what is kept."""
        idle = [connection for kept in self._idle.values() for connection in kept]
        self._idle.clear()
        for connection in idle:
            await connection.aclose()

    async def _ask(self, connection: "_Connection", request: h11.Request, origin: _Origin) -> Response:
        try:
            head = await connection.ask(request)
        except BaseException:
            await connection.aclose()
            raise
        return Response(connection, head, lambda: self._keep(origin, connection))

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
        while connection := self._pop(origin):
            if not connection.has_news():
                return connection
            await connection.aclose()
        return None

    def _pop(self, origin: _Origin) -> "_Connection | None":
        kept = self._idle.get(origin)
        if not kept:
            return None
        connection = kept.pop()
        if not kept:
            del self._idle[origin]
        return connection

    def _keep(self, origin: _Origin, connection: "_Connection") -> None:
        connection.begin_again()
        self._idle.setdefault(origin, []).append(connection)
        asyncio.get_running_loop().call_later(_IDLE_S, self._expire, origin, connection, connection.answers)

    def _expire(self, origin: _Origin, connection: "_Connection", answers: int) -> None:
        """Close *connection* if it was not used since."""
        kept = self._idle.get(origin, [])
        if connection in kept and connection.answers == answers:
            kept.remove(connection)
            if not kept:
                del self._idle[origin]
            task = asyncio.create_task(connection.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


class _Connection:
    """One connection, for one request after the other."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_EVENT_BYTES)
        self.answers = 0

    async def ask(self, request: h11.Request) -> h11.Response | h11.InformationalResponse:
        """Send *request* and return the head of the answer."""
        try:
            sent = (self._h11.send(request) or b"") + (self._h11.send(h11.EndOfMessage()) or b"")
        except h11.LocalProtocolError as error:
            raise httpcore2.LocalProtocolError(error) from error
        with suppress(httpcore2.WriteError):  # there may be an answer all the same
            await self._stream.write(sent)
        while True:
            event = await self.next_event()
            if isinstance(event, h11.Response) or (
                isinstance(event, h11.InformationalResponse)
                and event.status_code == HTTPStatus.SWITCHING_PROTOCOLS
            ):
                return event

    async def next_event(self) -> h11.Event | type[h11.PAUSED]:
        """Return what comes next of an answer."""
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                raise httpcore2.RemoteProtocolError(error) from error
            if event is not h11.NEED_DATA:
                return cast("h11.Event | type[h11.PAUSED]", event)
            data = await self._stream.read(_READ_BYTES)
            if not data and self._h11.their_state is h11.SEND_RESPONSE:
                raise httpcore2.RemoteProtocolError("the host closed the connection before it answered")
            self._h11.receive_data(data)

    def is_done(self) -> bool:
        """Whether the answer was read, may be followed by another, and by nothing was yet."""
        states = (self._h11.our_state, self._h11.their_state)
        return states == (h11.DONE, h11.DONE) and not self._h11.trailing_data[0] and not self.has_news()

    def has_news(self) -> bool:
        """Whether anything came that nobody asked for; the end of the connection, for one."""
        return bool(self._stream.get_extra_info("is_readable"))

    def begin_again(self) -> None:
        """Be ready for another request."""
        self.answers += 1
        self._h11.start_next_cycle()

    async def aclose(self) -> None:
        """Hang up."""
        await self._stream.aclose()
