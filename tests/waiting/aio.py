"""Waiting, in the event loop, for what sets no event there."""

import asyncio
import time
from collections.abc import Callable

from tests.waiting.blocking import FIRST_PAUSE_S, LONGEST_PAUSE_S, PATIENCE_S, SLOWER, T


async def until(look: Callable[[], T | None]) -> T:
    """Return the first truthy value of *look*, which must not block; fail after a minute."""
    deadline, pause_s = time.monotonic() + PATIENCE_S, FIRST_PAUSE_S
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {PATIENCE_S:g} s: {look}")
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * SLOWER, LONGEST_PAUSE_S)
    return found
