"""The sandbox's time: the real time, or one that a test sets."""

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and waits."""

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after this much time has passed on this clock."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Return that much later."""
        await asyncio.sleep(max(seconds, 0.0))


@dataclass(frozen=True, slots=True)
class _Sleeper:
    until: float
    loop: asyncio.AbstractEventLoop
    woken: asyncio.Event


class ManualClock:
    """A clock that stands still until `advance` moves it, from any thread."""

    def __init__(self, now: float = 1_736_424_000.0) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._sleepers: list[_Sleeper] = []

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return once the clock has been advanced that far."""
        sleeper = _Sleeper(self._now + seconds, asyncio.get_running_loop(), asyncio.Event())
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        with self._lock:
            self._sleepers.append(sleeper)
        try:
            await sleeper.woken.wait()
        finally:
            with self._lock:
                self._sleepers = [other for other in self._sleepers if other is not sleeper]

    def advance(self, seconds: float) -> None:
        """Advance the clock, and wake everything that was sleeping until then."""
        with self._lock:
            self._now += seconds
            due = [sleeper for sleeper in self._sleepers if sleeper.until <= self._now]
        for sleeper in due:
            sleeper.loop.call_soon_threadsafe(sleeper.woken.set)
