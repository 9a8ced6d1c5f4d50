"""What was done per minute, counted in the background and cached: no page waits for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from receiver.errors import StoreUnavailable
from receiver.store.rates import Done

_MINUTE_MS: Final = 60_000
_SETTLES_MS: Final = 5_000
"""How much later than its own timestamp a commit may appear."""
_LONGEST_REST_S: Final = 1.0

Count = Callable[[int, int], Awaitable[Done]]
"""Counts what was done from one time to before another."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Span:
    """A period of the past, divided into buckets."""

    label: str
    width_ms: int
    buckets: int


SPANS: Final = {
    "1h": Span("1 h", _MINUTE_MS, 60),
    "24h": Span("24 h", 15 * _MINUTE_MS, 96),
    "30d": Span("30 d", 360 * _MINUTE_MS, 120),
}


@dataclass(frozen=True, slots=True)
class Point:
    """The rates per minute in one bucket."""

    start_ms: int
    received: float
    mirrored: float
    forwarded: float


@dataclass(frozen=True, slots=True)
class _Counted:
    done: Done
    at_ms: int


class History:
    """The counted buckets of every span; the newest are counted first."""

    def __init__(self, count: Count, now_ms: Callable[[], int]) -> None:
        self._count = count
        self._now_ms = now_ms
        self._counted: dict[tuple[int, int], _Counted] = {}
        self._task: asyncio.Task[None] | None = None
        self._wanted: list[Span] = []

    def points(self, span: Span) -> list[Point]:
        """Return what is counted so far, oldest first, and continue counting."""
        if span not in self._wanted:
            self._wanted.append(span)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._fill())
        return [
            _point(start, span, counted.done)
            for start in reversed(self._starts(span))
            if (counted := self._counted.get((span.width_ms, start)))
        ]

    def is_whole(self, span: Span) -> bool:
        """Return whether every bucket is counted."""
        return all((span.width_ms, start) in self._counted for start in self._starts(span))

    async def settle(self, within_s: float) -> None:
        """Wait briefly for counting to finish."""
        if self._task:
            await asyncio.wait([self._task], timeout=within_s)

    async def aclose(self) -> None:
        """Stop counting."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _fill(self) -> None:
        try:
            while self._wanted:
                await self._fill_one(self._wanted.pop(0))
        except StoreUnavailable as error:
            self._wanted.clear()
            log.warning("console cannot count", error=str(error))

    async def _fill_one(self, span: Span) -> None:
        starts = self._starts(span)
        self._forget(span, starts[-1])
        for start in starts:
            if self._is_due(span, start):
                began = time.monotonic()
                done = await self._count(start, start + span.width_ms)
                self._counted[span.width_ms, start] = _Counted(done, self._now_ms())
                # Half of the database's time is for others.
                await asyncio.sleep(min(time.monotonic() - began, _LONGEST_REST_S))

    def _is_due(self, span: Span, start: int) -> bool:
        counted = self._counted.get((span.width_ms, start))
        if counted is None:
            return True
        is_final = counted.at_ms >= start + span.width_ms + _SETTLES_MS
        return not is_final and self._now_ms() - counted.at_ms >= max(span.width_ms // 60, 1_000)

    def _forget(self, span: Span, oldest: int) -> None:
        for width, start in [key for key in self._counted if key[0] == span.width_ms and key[1] < oldest]:
            del self._counted[width, start]

    def _starts(self, span: Span) -> list[int]:
        newest = self._now_ms() // span.width_ms * span.width_ms
        return [newest - n * span.width_ms for n in range(span.buckets)]


def _point(start_ms: int, span: Span, done: Done) -> Point:
    minutes = span.width_ms / _MINUTE_MS
    return Point(start_ms, done.received / minutes, done.mirrored / minutes, done.forwarded / minutes)
