"""Serves the application on loopback, within a running event loop or on its own thread."""

import asyncio
import contextlib
import ipaddress
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from typing import Any, Final, Literal

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from receiver import listener
from receiver.errors import ConfigError

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


_START_TIMEOUT_S = 10.0


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on loopback; *port* 0 picks a free one.

    Raises:
        ConfigError: *host* is not loopback, or *port* is taken.
    """
    address = "127.0.0.1" if host == "localhost" else host
    if not _is_loopback(address):
        raise ConfigError(f"the sandbox listens on loopback only, not on {host!r}: use 127.0.0.1")
    try:
        return listener.listen(address, port)
    except OSError as error:
        raise ConfigError(f"the sandbox cannot listen on port {port}: {error.strerror}") from error


class Server:
    """One run of the application."""

    def __init__(
        self, app: ASGIApp, listener: socket.socket, *, on_stop: Callable[[], Awaitable[None]]
    ) -> None:
        config = uvicorn.Config(
            app,
            http=Connection,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        self._uvicorn = _Uvicorn(config)
        self._listener = listener
        self._on_stop = on_stop
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None

    def start_thread(self) -> None:
        """Serve on a separate thread; return once it listens."""
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="receiver-sandbox", daemon=True
        )
        self._thread.start()
        self._uvicorn.listening.result(_START_TIMEOUT_S)

    def stop_thread(self) -> None:
        """Stop, and return once everything is closed."""
        self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join()

    async def start(self) -> None:
        """Serve within the running loop; return once it listens."""
        self._task = asyncio.create_task(self._serve())
        await asyncio.wrap_future(self._uvicorn.listening)

    async def stop(self) -> None:
        """Stop, and return once everything is closed."""
        self._uvicorn.should_exit = True
        if self._task is not None:
            await self._task

    async def _serve(self) -> None:
        try:
            await self._uvicorn.serve(sockets=[self._listener])
        finally:
            await self._on_stop()


class _Uvicorn(uvicorn.Server):
    """A server that leaves signals to the surrounding program."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening: Future[None] = Future()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except BaseException as error:
            self.listening.set_exception(error)
            raise
        self.listening.set_result(None)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
