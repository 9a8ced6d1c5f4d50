"""The public listener: accepts connections, and stops without losing a request."""

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from receiver.listener import make_room
from receiver.web.app import PublicApp
from receiver.web.connection import Connection
from receiver.web.registry import MAX_CONNECTIONS, Registry

_BACKLOG: Final = 2048
_LONGEST_GRACE_S: Final = 15.0
_LAST_LINGER_S: Final = 1.0
_FIRST_BYTES_S: Final = 0.5
"""How long a new connection may take to begin its request."""
_AT_ONCE: Final = 64
"""Connections accepted in one turn of the event loop."""
_LOOK_EVERY_S: Final = 0.02


class Server:
    """Serves one application on one listening socket."""

    def __init__(self, app: PublicApp, *, shutdown_delay_s: float) -> None:
        """For *shutdown_delay_s* after `stop`, connections are still accepted until load balancers notice."""
        self._app = app
        self._taking: asyncio.Task[None] | None = None
        self._shutdown_delay_s = shutdown_delay_s
        self._registry = Registry(max_connections=make_room(MAX_CONNECTIONS))

    async def start(self, listener: socket.socket) -> None:
        """Accept connections from now on."""
        listener.settimeout(0)
        self._listener = listener
        self._server = await asyncio.get_running_loop().create_server(
            self._connect, sock=listener, backlog=_BACKLOG
        )

    async def stop(self) -> None:
        """Stop in an order that loses no request.

        `readyz` turns 503 at once, and every answer ends its connection. After the delay, no connection is
        accepted. Requests in progress are answered within 15 s. Idle connections are closed last.
        """
        self._app.readiness.is_stopping = True
        self._registry.is_draining = True
        await asyncio.sleep(self._shutdown_delay_s)
        await self._close_listener()
        await _until(lambda: not any(one.is_silent for one in self._registry.all()), within_s=_FIRST_BYTES_S)
        await _until(lambda: all(one.is_idle for one in self._registry.all()), within_s=_LONGEST_GRACE_S)
        for connection in self._registry.all():
            connection.finish()
        await _until(lambda: not self._registry, within_s=_LAST_LINGER_S)
        for connection in self._registry.all():
            connection.abort()

    def _connect(self) -> Connection:
        """Accept one, and soon those behind it: uvloop accepts one per turn, too few in a flood."""
        if self._taking is None or self._taking.done():
            self._taking = asyncio.create_task(self._take_more())
        return self._new()

    def _new(self) -> Connection:
        return Connection(self._app, self._registry)

    async def _take_more(self) -> None:
        while connected := self._accepted(_AT_ONCE):
            await self._serve(connected)

    async def _serve(self, connected: list[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        # Each takes a turn or two of the loop. Accept them together, or the queue would not get shorter.
        serving = [loop.connect_accepted_socket(self._new, one) for one in connected]
        await asyncio.gather(*serving, return_exceptions=True)

    def _accepted(self, most: int) -> list[socket.socket]:
        """Accept what waits in the kernel's queue."""
        taken: list[socket.socket] = []
        with suppress(OSError):  # none is left, or no file descriptor is free
            while len(taken) < most:
                taken.append(self._listener.accept()[0])
                taken[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return taken

    async def _close_listener(self) -> None:
        """Close it, but first accept waiting connections: the kernel would reset them."""
        taken = self._accepted(sys.maxsize)
        self._server.close()
        await self._serve(taken)


async def _until(look: Callable[[], bool], *, within_s: float) -> None:
    """Wait until *look* returns true, or for *within_s* seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while not look():  # noqa: ASYNC110  what it looks for has no event
                await asyncio.sleep(_LOOK_EVERY_S)
