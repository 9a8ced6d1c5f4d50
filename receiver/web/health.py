"""`GET /healthz`: the process answers. `GET /readyz`: it can take an event."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from receiver.errors import StoreUnavailable
from receiver.web import answers

_REMEMBER_S: Final = 1.0

log = structlog.get_logger()


async def healthz(_request: Request) -> Response:
    """Answer 200 as long as the process runs its loop."""
    return answers.json(200, {"status": "ok"})


class Readiness:
    """Answers 200 while the store is migrated and takes writes, 503 otherwise.

    The finding is kept for a second: anyone may ask, as often as they like.
    """

    def __init__(self, check: Callable[[], Awaitable[None]]) -> None:
        self._check = check
        self._until = 0.0
        self._ready = False
        self._looking = asyncio.Lock()

    async def __call__(self, _request: Request) -> Response:
        """Answer from the last finding, or look again; who asks meanwhile waits for that look."""
        async with self._looking:
            if time.monotonic() >= self._until:
                self._ready = await self._look()
                self._until = time.monotonic() + _REMEMBER_S
        return answers.json(200, {"status": "ready"}) if self._ready else answers.unavailable()

    async def _look(self) -> bool:
        try:
            await self._check()
        except StoreUnavailable as error:
            log.warning("not ready", error=str(error))
            return False
        return True
