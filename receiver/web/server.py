"""The HTTP server: uvicorn, with bounds that a public listener needs and it does not have."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from receiver.web import answers

REQUEST_TIMEOUT_S: Final = 10.0
KEEP_ALIVE_S: Final = 75
"""Longer than the idle time-out of common load balancers, so that they, not we, close first."""
_MAX_HEADER_BYTES: Final = 16 * 1024
_LONGEST_GRACE_S: Final = 15
_UNFINISHED: Final = (h11.IDLE, h11.SEND_BODY)
_MAY_ANSWER: Final = (h11.IDLE, h11.SEND_RESPONSE)


class DeadlineProtocol(H11Protocol):
    """HTTP/1.1 that ends the conversation with a client whose request is not whole in time.

    The clock runs from the connection's opening, or the first byte of a request, to the last of its body.
    Kept here and not in the application: a request that comes in one piece, as nearly all do, costs no timer.
    """

    request_timeout_s: float = REQUEST_TIMEOUT_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Start the clock: a connection that says nothing counts as slow."""
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Stop the clock once a request is whole; start it again with the next."""
        super().data_received(data)
        if self.conn.their_state not in _UNFINISHED:
            self._disarm()
        elif self._deadline is None:
            self._arm()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, also in the middle of a body that the application is waiting for."""
        self._dismiss_application()
        if self.conn.our_state in _MAY_ANSWER:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(self.request_timeout_s, self._give_up)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.SEND_RESPONSE:
            self._answer_too_slow()
        self.transport.close()

    def _answer_too_slow(self) -> None:
        answer = answers.refused(408)
        parts: list[h11.Event] = [
            h11.Response(status_code=408, headers=answer.raw_headers, reason=b"Request Timeout"),
            h11.Data(data=bytes(answer.body)),
            h11.EndOfMessage(),
        ]
        self.transport.writelines([self.conn.send(part) or b"" for part in parts])
        self._dismiss_application()

    def _dismiss_application(self) -> None:
        """Tell the application that the client is gone, and drop what it still says."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever runs it beside other things."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture nothing."""
        yield


def build_server(app: ASGIApp, *, host: str, port: int, **options: Any) -> Server:
    """Prepare to serve *app* publicly. *options* are uvicorn's own and win over ours.

    h11 rather than httptools: it bounds the size of request headers, httptools does not.
    """
    config: dict[str, Any] = {
        "host": host,
        "port": port,
        "http": DeadlineProtocol,
        "ws": "none",
        "lifespan": "off",
        "log_config": None,
        "access_log": False,
        # Its warnings are about what strangers send, one for each.
        "log_level": "error",
        "server_header": False,
        "proxy_headers": False,
        "h11_max_incomplete_event_size": _MAX_HEADER_BYTES,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": _LONGEST_GRACE_S,
        "backlog": 2048,
    }
    return Server(uvicorn.Config(app, **(config | options)))
