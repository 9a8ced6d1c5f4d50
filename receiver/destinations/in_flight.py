"""The sends in flight on one connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class InFlight:
    """Ends each send at its deadline, or all at once when waiting has become pointless."""

    def __init__(self) -> None:
        self._deadlines: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def deadline(self, timeout_s: float) -> AsyncIterator[None]:
        """Raise TimeoutError in the block after *timeout_s* seconds, or when `end` is called."""
        async with asyncio.timeout(timeout_s) as deadline:
            self._deadlines.add(deadline)
            try:
                yield
            finally:
                self._deadlines.discard(deadline)

    def end(self) -> None:
        """End every send in flight now."""
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(0)
