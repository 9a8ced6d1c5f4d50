"""What most systems have in common: one server process, which is killed, frozen and started again."""

import asyncio
from typing import Generic, TypeVar

from tests.servers.process import ServerProcess

Server = TypeVar("Server", bound=ServerProcess)


class Served(Generic[Server]):
    """A system on a server that keeps what it confirmed when it is killed."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def down(self) -> None:
        self._server.kill()

    async def up(self) -> None:
        self._server.start()

    async def hang(self) -> None:
        self._server.freeze()

    async def resume(self) -> None:
        self._server.thaw()


class Forgetful(Served[Server]):
    """A system on a server that forgets everything: what was delivered before is consumed first."""

    _hangs = False

    async def down(self) -> None:
        if not self._hangs:
            await asyncio.to_thread(self._consume)
        self._hangs = False
        await super().down()

    async def hang(self) -> None:
        await asyncio.to_thread(self._consume)
        self._hangs = True
        await super().hang()

    async def resume(self) -> None:
        self._hangs = False
        await super().resume()

    def _consume(self) -> None:
        """Move what the server holds to where `received` finds it."""
        raise NotImplementedError
