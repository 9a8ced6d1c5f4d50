"""The private listener: uvicorn, without its signal handling."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

import uvicorn
from starlette.types import ASGIApp

_LONGEST_GRACE_S: Final = 15
_KEEP_ALIVE_S: Final = 75
_TICK_S: Final = 1.0


class Server(uvicorn.Server):
    """A uvicorn server that captures no signals, and sleeps while idle."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let `serve` finish requests in progress, and return."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Renew the date of the answers; uvicorn wakes ten times as often, to find out that it is to stop."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._stopping.wait()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture nothing."""
        yield


def build_server(app: ASGIApp) -> Server:
    """Prepare to serve *app* privately."""
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # It warns about each malformed request of strangers.
        log_level="error",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_LONGEST_GRACE_S,
    )
    return Server(config)
