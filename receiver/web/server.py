"""The public listener: accepts connections, and stops without losing a request."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from receiver.listener import make_room
from receiver.web.acceptor import Acceptor
from receiver.web.app import PublicApp
from receiver.web.connection import Connection
from receiver.web.registry import MAX_CONNECTIONS, Registry

_LONGEST_GRACE_S: Final = 15.0
_LAST_LINGER_S: Final = 1.0
_FIRST_BYTES_S: Final = 0.5
"""How long a new connection may take to begin its request."""
_MOST_WAITING: Final = MAX_CONNECTIONS // 2
"""Connections accepted and not served yet."""
_LOOK_EVERY_S: Final = 0.02


class Server:
    """Serves one application on one listening socket."""

    def __init__(self, app: PublicApp, *, shutdown_delay_s: float) -> None:
        """For *shutdown_delay_s* after `stop`, connections are still accepted until load balancers notice."""
        self._app = app
        self._shutdown_delay_s = shutdown_delay_s
        self._room = make_room(MAX_CONNECTIONS + _MOST_WAITING)
        self._registry = Registry(max_connections=self._room * 2 // 3)

    def start(self, listener: socket.socket) -> None:
        """Accept connections from now on."""
        self._acceptor = Acceptor(
            listener,
            self._connection,
            most_waiting=self._room // 3,
            is_crowded=self._registry.is_crowded,
        )
        self._acceptor.start()

    async def stop(self) -> None:
        """Stop in an order that loses no request.

        `readyz` turns 503 at once, and every answer ends its connection. After the delay, no connection is
        accepted. Requests in progress are answered within 15 s. Idle connections are closed last.
        """
        self._app.readiness.is_stopping = True
        self._registry.is_draining = True
        await asyncio.sleep(self._shutdown_delay_s)
        await self._acceptor.stop()
        await _until(lambda: not any(one.is_silent for one in self._registry.all()), within_s=_FIRST_BYTES_S)
        await _until(lambda: all(one.is_idle for one in self._registry.all()), within_s=_LONGEST_GRACE_S)
        for connection in self._registry.all():
            connection.finish()
        await _until(lambda: not self._registry, within_s=_LAST_LINGER_S)
        for connection in self._registry.all():
            connection.abort()

    def _connection(self) -> Connection:
        return Connection(self._app, self._registry)


async def _until(look: Callable[[], bool], *, within_s: float) -> None:
    """Wait until *look* returns true, or for *within_s* seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while not look():  # noqa: ASYNC110  what it looks for has no event
                await asyncio.sleep(_LOOK_EVERY_S)
