"""`GET /healthz`: the process answers. `GET /readyz`: it can record an event."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from receiver.errors import StoreUnavailable
from receiver.web.answers import UNAVAILABLE, Answer

_REMEMBER_S: Final = 1.0
_PATIENCE_S: Final = 1.5
"""A probe for readiness gives up soon; HAProxy, say, after its interval of 2 s."""
HEALTHY: Final = Answer(200, b'{"status":"ok"}')
READY: Final = Answer(200, b'{"status":"ready"}')

log = structlog.get_logger()


class Readiness:
    """Whether the store accepts what a delivery writes, and the process is not about to stop.

    The result is kept for a second, because anyone may ask at any rate. Nobody waits long: a store that does
    not answer in time counts as not ready.
    """

    def __init__(self, check: Callable[[], Awaitable[None]]) -> None:
        self.is_stopping = False
        self._check = check
        self._until = 0.0
        self._patience_ends = 0.0
        self._looking: asyncio.Task[bool] | None = None
        self._is_doubted = False

    def doubt(self) -> None:
        """Report not ready until the next check: a delivery was just refused."""
        self._is_doubted = True

    async def answer(self) -> Answer:
        """Answer from the last result, or check again; concurrent requests wait for that check."""
        if self.is_stopping:
            return UNAVAILABLE
        now = time.monotonic()
        looking = self._looking
        if looking is None or (looking.done() and now >= self._until):
            looking = self._looking = asyncio.create_task(self._look())
            self._patience_ends = now + _PATIENCE_S
            self._is_doubted = False
        if not looking.done():
            await asyncio.wait([looking], timeout=max(0.0, self._patience_ends - now))
        is_ready = looking.done() and looking.result() and not self._is_doubted
        return READY if is_ready else UNAVAILABLE

    async def _look(self) -> bool:
        try:
            await self._check()
        except StoreUnavailable as error:
            log.warning("not ready", error=str(error))
            return False
        finally:
            self._until = time.monotonic() + _REMEMBER_S
        return True
