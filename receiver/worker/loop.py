"""The loop of every duty: work while there is work, then sleep until woken."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from receiver.errors import StoreUnavailable

_PAUSE_S: Final = 2.0
"""How long a duty rests after the store failed."""

log = structlog.get_logger()


async def work_until(
    stop: asyncio.Event,
    turn: Callable[[], Awaitable[bool]],
    *,
    woken: asyncio.Event,
    poll_s: float | None = None,
) -> None:
    """Repeat *turn* until *stop*; after a turn without work wait for *woken*, or *poll_s* if given.

    Set *woken* whenever you set *stop*. A store failure does not end the loop: it tries again after a pause.
    """
    while not stop.is_set():
        woken.clear()
        try:
            found_work = await turn()
        except StoreUnavailable as error:
            log.warning("store unavailable", error=str(error), retry_in_s=_PAUSE_S)
            await _sleep(stop, _PAUSE_S)
        else:
            if not found_work:
                await _sleep(woken, poll_s)


async def _sleep(unless: asyncio.Event, seconds: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await unless.wait()
