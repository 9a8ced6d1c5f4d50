"""The public listener: takes connections, and stops without costing anybody a request."""

import asyncio
import socket
from functools import partial
from typing import Final

import structlog

from receiver.web.app import PublicApp
from receiver.web.connection import Connection
from receiver.web.registry import Registry

_BACKLOG: Final = 2048
_LONGEST_GRACE_S: Final = 15.0
_LOOK_EVERY_S: Final = 0.02

log = structlog.get_logger()


class Server:
    """Serves one application on one listening socket."""

    def __init__(self, app: PublicApp, *, shutdown_delay_s: float) -> None:
        """For *shutdown_delay_s* after `stop` connections are still taken, while load balancers find out."""
        self._app = app
        self._shutdown_delay_s = shutdown_delay_s
        self._registry = Registry()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Take connections from now on."""
        connect = partial(Connection, self._app, self._registry)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(connect, sock=listener, backlog=_BACKLOG)

    async def stop(self) -> None:
        """Stop in the order in which nobody loses a request.

        At once `readyz` says 503, and every answer ends its connection. After the delay no connection is
        taken; what has begun is answered, for 15 s at most; connections that wait for a request go last.
        """
        assert self._server is not None
        self._app.readiness.is_stopping = True
        self._registry.is_draining = True
        await asyncio.sleep(self._shutdown_delay_s)
        self._server.close()
        try:
            async with asyncio.timeout(_LONGEST_GRACE_S):
                await self._until_all_idle()
                for connection in self._registry.all():
                    connection.finish()
                await self._until_all_gone()
        except TimeoutError:
            log.warning("connections cut off", count=len(self._registry))
        for connection in self._registry.all():
            connection.abort()

    async def _until_all_idle(self) -> None:
        while not all(connection.is_idle for connection in self._registry.all()):  # noqa: ASYNC110  no event
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _until_all_gone(self) -> None:
        while self._registry:  # noqa: ASYNC110  no event
            await asyncio.sleep(_LOOK_EVERY_S)
