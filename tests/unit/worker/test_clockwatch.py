"""Noticing that the clock was set back."""

import asyncio
from dataclasses import dataclass

import pytest

from receiver.errors import StoreUnavailable
from receiver.store.future import Present
from receiver.worker.clockwatch import ClockWatch, watch_clock
from tests.unit.worker.scripted import Transacting
from tests.waiting.aio import until

PRESENT = Present(0, 60_000, ("orders",))


@dataclass
class Time:
    wall_ms: int = 1_700_000_000_000
    monotonic: float = 50.0

    def pass_s(self, seconds: float, *, wall_s: float | None = None) -> None:
        self.monotonic += seconds
        self.wall_ms += int((seconds if wall_s is None else wall_s) * 1000)

    def watch(self) -> ClockWatch:
        return ClockWatch(clock_ms=lambda: self.wall_ms, monotonic=lambda: self.monotonic)


class TestClockWatch:
    def test_tells_a_step_back_once(self) -> None:
        """By as much as the clock that never goes back knows."""
        time = Time()
        watch = time.watch()
        time.pass_s(10)
        assert watch.back_ms() == 0
        time.pass_s(1, wall_s=-3600)
        assert watch.back_ms() == 3_601_000
        time.pass_s(1)
        assert watch.back_ms() == 0

    @pytest.mark.parametrize("wall_s", [1.0, 0.5, 3600, 86_400 * 365])
    def test_tells_nothing_else(self, wall_s: float) -> None:
        """A clock that is slowed down, or set forward, holds nothing."""
        time = Time()
        watch = time.watch()
        for _ in range(20):
            time.pass_s(1, wall_s=wall_s)
            assert watch.back_ms() == 0


class TestWatchClock:
    async def test_at_start_now_and_then_and_at_each_step(self) -> None:
        """What the store could not do is done later, with all that the clock went back meanwhile."""
        time, store = Time(), Failing()
        task = asyncio.create_task(
            watch_clock(store, PRESENT, every_s=0.03, watch=time.watch(), look_every_s=0.01)  # type: ignore[arg-type]
        )
        await until(lambda: len(store.asked) >= 3)
        assert [one.at_start for one in store.asked[:3]] == [True, False, False]
        assert {one.back_ms for one in store.asked} == {0}
        assert store.asked[0].now_ms == time.wall_ms
        store.is_down = True
        time.pass_s(0, wall_s=-60)
        await until(lambda: store.failed > 0)
        time.pass_s(0, wall_s=-30)
        before = store.failed
        await until(lambda: store.failed > before)
        store.is_down = False
        await until(lambda: any(one.back_ms for one in store.asked))
        assert [one.back_ms for one in store.asked if one.back_ms] == [90_000]
        task.cancel()


class Failing(Transacting):
    def __init__(self) -> None:
        self.asked: list[Present] = []
        self.is_down = False
        self.failed = 0

    async def correct_due_times(self, present: Present) -> int:
        if self.is_down:
            self.failed += 1
            raise StoreUnavailable("down")
        self.asked.append(present)
        return 0
