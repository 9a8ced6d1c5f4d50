"""Serves the application on loopback, within a running event loop or on its own thread."""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future

import uvicorn
from starlette.types import ASGIApp

from receiver import listener
from receiver.errors import ConfigError
from receiver.sandbox.connections import Connection

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
