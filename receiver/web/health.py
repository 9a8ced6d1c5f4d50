"""`GET /healthz`: the process answers. `GET /readyz`: it can take an event."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from receiver.errors import StoreUnavailable
from receiver.web import answers
from receiver.web.answers import Answer

_REMEMBER_S: Final = 1.0
HEALTHY: Final = answers.json(200, {"status": "ok"})
READY: Final = answers.json(200, {"status": "ready"})

log = structlog.get_logger()


class Readiness:
    """Whether the store is migrated and takes writes, and the process is not about to stop.

    The finding is kept for a second: anyone may ask, as often as they like.
    """

    def __init__(self, check: Callable[[], Awaitable[None]]) -> None:
        self.is_stopping = False
        self._check = check
        self._until = 0.0
        self._ready = False
        self._looking = asyncio.Lock()

    async def answer(self) -> Answer:
        """Answer from the last finding, or look again; who asks meanwhile waits for that look."""
        if self.is_stopping:
            return answers.UNAVAILABLE
        async with self._looking:
            if time.monotonic() >= self._until:
                self._ready = await self._look()
                self._until = time.monotonic() + _REMEMBER_S
        return READY if self._ready else answers.UNAVAILABLE

    async def _look(self) -> bool:
        try:
            await self._check()
        except StoreUnavailable as error:
            log.warning("not ready", error=str(error))
            return False
        return True
