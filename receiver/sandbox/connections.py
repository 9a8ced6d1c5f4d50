"""Missing responses: connections reset, closed, or left hanging."""

import asyncio
import socket
import struct
from typing import Any, Final, Literal

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_EXTENSION: Final = "receiver.sandbox.transport"


class Connection(H11Protocol):
    """A server connection that exposes its transport to the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the transport where `drop` can find it."""
        super().connection_made(transport)
        self.app = _carrying(self.app, transport)


class NoAnswer(Response):
    """Ends the connection without a response, at once or when the client does."""

    def __init__(self, how: Literal["reset", "close", "hang"]) -> None:
        super().__init__()
        self.status_code = 0
        self._how = how

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """Send nothing."""
        if self._how != "hang":
            _drop(scope, reset=self._how == "reset")
        await _gone(receive)


class CutShort(Response):
    """Announces the whole body, sends half, and closes the connection."""

    def __init__(self, whole: Response) -> None:
        super().__init__(whole.body, whole.status_code, media_type=whole.media_type)
        self.raw_headers = list(whole.raw_headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of the body."""
        head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(head)
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        _drop(scope, reset=False)
        await _gone(receive)


def _carrying(app: Any, transport: asyncio.Transport) -> ASGIApp:
    async def carried(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("extensions", {})[_EXTENSION] = transport
        await app(scope, receive, send)

    return carried


def _drop(scope: Scope, *, reset: bool) -> None:
    transport = scope.get("extensions", {}).get(_EXTENSION)
    if transport is None:
        raise ConnectionResetError("the sandbox was told to drop this connection")
    if reset:
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        transport.close()


async def _gone(receive: Receive) -> None:
    # The server treats an application that returns no response as broken, unless the client has left.
    while (await receive())["type"] != "http.disconnect":
        pass
