"""One public HTTP/1.1 connection: bytes in, complete requests to the application, answers out in order.

httptools parses. The limits that a public listener needs are here and in `receiver.web.request`:

    data_received → feed → (parser) → request whole → application → answer → flush → next, or finish

A connection ends in one of three ways. *finish*: after a last answer. Further input is read and dropped for a
while, because closing a socket with unread bytes resets it, and the answer may be lost. *close*: no answer is
pending. *abort*: the client exceeds a limit.
"""

import asyncio
import time
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, Final, cast

import httptools
import structlog

from receiver.web.answers import MALFORMED, TOO_SLOW, UNAVAILABLE, Answer, Turn, Turns
from receiver.web.app import PublicApp
from receiver.web.registry import Registry
from receiver.web.request import Refused, Request

REQUEST_TIMEOUT_S: Final = 10.0
KEEP_ALIVE_S: Final = 75.0
"""Longer than the idle time-out of common load balancers, so that they, not we, close first."""
LINGER_S: Final = 5.0
"""How long after a last answer further input is read and dropped."""
LINGER_BYTES: Final = 8 * 1024 * 1024
"""And how much of it."""
_SLICE: Final = 2048
"""Bytes parsed in one go (perhaps fifty requests), unless a body of known length is arriving."""
_MOST_PIECES: Final = 256
"""Pieces of bodies that one connection may send before others get their turn."""
_REQUEST_IN_PIECES: Final = 16
_MOST_UNSENT: Final = 16 * 1024
"""Unsent bytes of answers above which nothing more is read from the client."""
_MOST_WAITING: Final = 16
"""Pipelined requests answered at once; further ones are not read meanwhile."""

log = structlog.get_logger()


class Connection(asyncio.BufferedProtocol):
    """One connection of the public listener. The module's constants are its time limits."""

    request_timeout_s: float = REQUEST_TIMEOUT_S
    linger_s: float = LINGER_S

    def __init__(self, application: PublicApp, registry: Registry) -> None:
        self._application = application
        self._registry = registry
        self._loop = asyncio.get_running_loop()
        self._parser = self._new_parser()
        self._turns = Turns()
        self._request: Request | None = None
        self._unparsed = b""
        self._said = 0
        """Bytes received since the buffer was last empty: the rest of a large input is not a short
        request."""
        self._pieces = 0
        self._is_held = False
        self._is_choked = False
        """Answers wait, because the client does not read them."""
        self._is_known = False
        self._is_finishing = False
        self._has_ended = False
        self._may_drop = LINGER_BYTES
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, or for the client to hang up."""
        return self._is_finishing or not (self._turns or self._request or self._unparsed)

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come yet."""
        return not self._said

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock: a connection that says nothing is slow."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_MOST_UNSENT)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if peer else ""
        self._expire_after(self.request_timeout_s)
        self._registry.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  asyncio's signature
        """Lend the buffer that all connections share: its size limits what one may send in a turn."""
        return self._registry.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Accept the received bytes."""
        data = bytes(self._registry.buffer[:nbytes])
        self._said = len(data) + (self._said if self._unparsed else 0)
        if self._is_finishing:
            self._drop(len(data))
        elif self._unparsed:
            self._unparsed += data
        elif self._is_known or self._registry.has_time(len(data)):
            self._read(data)
        else:
            self._unparsed = data
            self._put_off()

    def eof_received(self) -> bool:
        """Keep the connection for pending answers: a client may close its side after its request."""
        self._has_ended = True
        return bool(self._turns) or bool(self._unparsed)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """Forget it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._request is not None and self._request.head_is_whole and not self._is_finishing:
            self._application.note_refusal(None, self.peer, "client_left")
        self._is_finishing = True
        self._let_go()
        self._registry.discard(self)
        self._parser = None

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read its answers."""
        self._is_choked = True
        self._transport.pause_reading()
        self._expire_after(self.request_timeout_s)

    def resume_writing(self) -> None:
        """Go on."""
        self._is_choked = False
        if self._unparsed:
            self._line_up()
        else:
            self._transport.resume_reading()

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._request = Request(self.peer)

    def on_url(self, url: bytes) -> None:
        """Accept the request target, or a part of it."""
        assert self._request is not None
        self._request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Accept a header."""
        assert self._request is not None
        self._request.take_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the headers before any of the body is read."""
        parser, request = self._parser, self._request
        assert request is not None
        request.read_head(parser.get_method(), is_http_1_1=parser.get_http_version() == "1.1")
        if request.expects_continue and not self._turns and not parser.should_upgrade():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, chunk: bytes) -> None:
        """Accept a piece of the body."""
        self._pieces += 1
        assert self._request is not None
        self._request.take_chunk(chunk)

    def on_message_complete(self) -> None:
        """Hand the request over."""
        request = self._request
        assert request is not None
        if self._parser.should_upgrade() and request.method != b"CONNECT":
            return  # see _decline
        self._request = None
        request.body = request.chunks[0] if len(request.chunks) == 1 else b"".join(request.chunks)
        self._pieces += _REQUEST_IN_PIECES
        closes = request.must_close or not self._parser.should_keep_alive()
        turn = Turn(closes=closes, with_body=request.method != b"HEAD")
        self._turns.append(turn)
        self._answer(request, turn)

    # Reading

    def _new_parser(self) -> Any:
        parser = httptools.HttpRequestParser(self)
        # Transfer-Encoding wins over Content-Length, and the connection ends: RFC 9112, section 6.1.
        parser.set_dangerous_leniencies(lenient_chunked_length=True, lenient_data_after_close=True)
        return parser

    def _read(self, data: bytes) -> None:
        """Parse *data* in slices, until it is others' turn or enough requests are being answered."""
        began = time.perf_counter()
        self._pieces = 0
        start = 0
        while start < len(data) and not self._is_finishing:
            if self._pieces > _MOST_PIECES or len(self._turns) >= _MOST_WAITING:
                break
            size = max(_SLICE, self._request.missing if self._request else 0)
            self._feed(data[start : start + size])
            start += size
        if not self._is_finishing:
            self._unparsed = data[start:]
        self._flush()
        if not self._is_known:
            self._registry.spend(time.perf_counter() - began)
        self._put_off()

    def _put_off(self) -> None:
        """Limit incomplete requests and waiting input: in time from the first byte, and in size.

        Nothing more is read until waiting input is parsed.
        """
        if self._is_finishing:
            return
        held = len(self._unparsed)
        if self._request is not None:
            held += self._request.held_bytes
            if not self._request.is_timed:
                self._request.is_timed = True
                self._expire_after(self.request_timeout_s)
        if held or self._is_held:
            self._is_held = held > 0
            self._registry.hold(self, held)
        if self._unparsed:
            self._transport.pause_reading()
            self._line_up()

    def _line_up(self) -> None:
        """Have the rest read in turn, unless its answers would only wait."""
        if len(self._turns) < _MOST_WAITING:
            self._registry.queue(self, self._said)

    def read_on(self) -> None:
        """Continue with postponed input, unless its answers would only wait."""
        if self._unparsed and not self._is_choked and not self._transport.is_closing():
            data, self._unparsed = self._unparsed, b""
            self._transport.resume_reading()
            self._read(data)

    def _feed(self, data: bytes) -> None:
        offered_at = None
        try:
            self._parser.feed_data(data)
            if self._request is not None:
                self._request.check_incoming(len(data))
        except httptools.HttpParserUpgrade as upgrade:
            offered_at = upgrade.args[0]
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, Refused):
                raise
            self._refuse(error.__context__)
        except Refused as refusal:
            self._refuse(refusal)
        except httptools.HttpParserError:
            self._refuse(Refused(MALFORMED, "malformed"))
        # Not while that exception is handled: it would replace the reason of the refusal.
        if offered_at is not None:
            self._decline(data[offered_at:])

    def _decline(self, rest: bytes) -> None:
        """Parse a request again without its offer to upgrade (to h2c, for example), which we decline.

        httptools treats everything after such a head as another protocol, including the request's body.
        """
        if self._request is not None:
            head = self._request.head_without_offer(self._parser.get_http_version())
            self._parser = self._new_parser()
            self._feed(head + rest)

    def _let_go(self) -> None:
        if self._is_held:
            self._is_held = False
            self._registry.hold(self, 0)

    def _refuse(self, refusal: Refused) -> None:
        """Answer a request that is not read further, after pending answers."""
        request = self._request
        self._application.note_refusal(request, self.peer, refusal.reason)
        self._is_finishing = True
        # The parser knows the method as soon as there is a target, long before the head is complete.
        is_head = request is not None and request.target and self._parser.get_method() == b"HEAD"
        turn = Turn(closes=True, with_body=not is_head)
        turn.answer = refusal.answer
        self._turns.append(turn)
        self._flush()

    # Answering

    def _answer(self, request: Request, turn: Turn) -> None:
        try:
            answer = self._application.answer(request)
        except Exception:
            log.exception("request crashed")
            answer = UNAVAILABLE
        if isinstance(answer, Answer):
            turn.answer = answer
        else:
            turn.task = self._loop.create_task(self._await(answer, turn, is_post=request.method == b"POST"))

    async def _await(self, answer: Awaitable[Answer], turn: Turn, *, is_post: bool) -> None:
        try:
            turn.answer = await answer
        except Exception:
            log.exception("request crashed")
            turn.answer = UNAVAILABLE
        if not self._is_known and is_post and turn.answer.status == HTTPStatus.OK:
            self._is_known = True
            self._registry.recognise(self)
        self._flush()

    def _flush(self) -> None:
        """Send the answers that are ready, in the order of their requests."""
        has_more = self._unparsed or self._request
        ready, is_last = self._turns.take_ready(ends=self._registry.is_draining and not has_more)
        if not ready or self._transport.is_closing():
            return
        self._transport.write(ready)
        if is_last:
            self._turns.clear()
            self.finish()
            return
        if self._unparsed:
            self._line_up()
        if self._turns:
            return
        if self._has_ended and not self._unparsed:
            self._transport.close()
        elif self._request is None and not self._is_choked:
            self._expire_after(KEEP_ALIVE_S)

    # Ending

    def finish(self) -> None:
        """End after a last answer, once the client has sent the rest, or enough of it."""
        self._is_finishing = True
        self._request = None  # or its memory would stay until the client hangs up
        self._let_go()
        self._drop(len(self._unparsed))
        self._unparsed = b""
        if self._has_ended or self._transport.is_closing():
            self._transport.close()
            return
        self._transport.resume_reading()
        self._expire_after(self.linger_s)
        self._transport.write_eof()

    def _drop(self, size: int) -> None:
        self._may_drop -= size
        if self._may_drop < 0:
            self.abort()

    def give_up(self) -> None:
        """End a request that is not complete in time, or is too large next to others."""
        is_begun = self._unparsed or (self._request is not None and self._request.head_is_whole)
        if is_begun and not self._turns:
            self._refuse(Refused(TOO_SLOW, "slow_body"))
        else:
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def _expire_after(self, seconds: float) -> None:
        """Set the deadline. The timer moves only if it would fire too late, which saves one per request."""
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        is_writing = self._transport.get_write_buffer_size() > 0
        if self._turns and not is_writing:
            self._expire_after(self.request_timeout_s)  # an answer may take as long as it likes
        elif self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._on_timer)
        elif self._is_finishing or is_writing:
            self.abort()
        else:
            self.give_up()
