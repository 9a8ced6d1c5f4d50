"""Notices that the clock was set back, and corrects due times so that no work waits for the difference."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.future import Present, correct_due_times

_LOOK_EVERY_S: Final = 1.0
_LEAST_S: Final = 1.0
"""A shorter step back delays nothing that anybody would notice."""

log = structlog.get_logger()


class ClockWatch:
    """Compares the clock with one that never goes back."""

    def __init__(
        self, *, clock_ms: Callable[[], int] = clock.now_ms, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.now_ms = clock_ms
        self._monotonic = monotonic
        self._seen = clock_ms(), monotonic()

    def back_ms(self) -> int:
        """Return by how many milliseconds the clock was set back since the last check, or 0."""
        (before_ms, began), (now_ms, now) = self._seen, (self.now_ms(), self._monotonic())
        self._seen = now_ms, now
        back_ms = before_ms + int((now - began) * 1000) - now_ms
        return back_ms if back_ms >= _LEAST_S * 1000 else 0


async def watch_clock(
    store: Store, present: Present, *, every_s: float, watch: ClockWatch, look_every_s: float = _LOOK_EVERY_S
) -> None:
    """Correct due times now, every *every_s*, and whenever the clock is set back, until cancelled.

    *present* provides everything else needed for that.
    """
    back_ms, rest_s, at_start = 0, 0.0, True
    while True:
        back_ms += watch.back_ms()
        rest_s -= look_every_s
        if back_ms or rest_s <= 0:
            try:
                asked = replace(present, now_ms=watch.now_ms(), back_ms=back_ms, at_start=at_start)
                rows = await store.transact_promptly(correct_due_times, asked)
            except StoreUnavailable as error:
                log.warning("due times not checked", error=str(error))
            else:
                if rows or back_ms:
                    log.warning("due times corrected", clock_set_back_s=back_ms / 1000, rows=rows)
                back_ms, rest_s, at_start = 0, every_s, False
        await asyncio.sleep(look_every_s)
