"""Work while there is work, then sleep until woken."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from receiver.errors import StoreUnavailable
from receiver.worker import loop
from receiver.worker.loop import work_until
from tests.waiting.aio import until

LONG_S = 600.0
WITHIN_S = 60.0


class Duty:
    """Turns that find work as often as they are told."""

    def __init__(self, work: int = 0) -> None:
        self.stop = asyncio.Event()
        self.woken = asyncio.Event()
        self.turns = 0
        self.work = work
        self.errors = 0
        self.during: Callable[[], None] = lambda: None

    async def turn(self) -> bool:
        self.turns += 1
        await asyncio.sleep(0)
        self.during()
        if self.errors:
            self.errors -= 1
            raise StoreUnavailable("down")
        found, self.work = self.work > 0, max(self.work - 1, 0)
        return found

    def start(self, *, poll_s: float = LONG_S) -> "asyncio.Task[None]":
        return asyncio.create_task(work_until(self.stop, self.turn, woken=self.woken, poll_s=poll_s))

    def end(self) -> None:
        self.stop.set()
        self.woken.set()


@pytest.fixture
async def duty() -> AsyncIterator[Duty]:
    offered = Duty()
    yield offered
    offered.end()


class TestWorkUntil:
    async def test_works_as_long_as_there_is_work(self, duty: Duty) -> None:
        """It does not sleep between pieces of work, and sleeps after the last."""
        duty.work = 5
        task = duty.start()
        await until(lambda: duty.turns == 6)
        await asyncio.sleep(0.01)
        assert duty.turns == 6
        duty.end()
        await asyncio.wait_for(task, WITHIN_S)

    async def test_woken(self, duty: Duty) -> None:
        """A signal ends its sleep."""
        duty.start()
        await until(lambda: duty.turns == 1)
        duty.woken.set()
        await until(lambda: duty.turns == 2)

    async def test_signal_during_a_turn_is_not_lost(self, duty: Duty) -> None:
        """Work announced while it looks is looked for again at once."""
        duty.during = lambda: duty.woken.set() if duty.turns == 1 else None
        duty.start()
        await until(lambda: duty.turns == 2)

    async def test_polls(self, duty: Duty) -> None:
        """Without any signal it looks again after the poll interval."""
        duty.start(poll_s=0.01)
        await until(lambda: duty.turns >= 3)

    async def test_stop_during_a_turn(self, duty: Duty) -> None:
        """Told to stop while it works, it finishes that turn and begins no other."""
        duty.work = 100
        duty.during = duty.end
        await asyncio.wait_for(duty.start(), WITHIN_S)
        assert duty.turns == 1

    async def test_stopped_before_it_began(self, duty: Duty) -> None:
        """Stopped already, it does nothing."""
        duty.end()
        await asyncio.wait_for(duty.start(), WITHIN_S)
        assert duty.turns == 0

    async def test_failing_store(self, duty: Duty, monkeypatch: pytest.MonkeyPatch) -> None:
        """A store that fails is asked again after a pause, as often as it takes."""
        monkeypatch.setattr(loop, "_PAUSE_S", 0.02)
        duty.errors = 3
        began = time.monotonic()
        duty.start()
        await until(lambda: duty.turns == 4)
        assert time.monotonic() - began >= 0.05

    async def test_stop_ends_the_pause(self, duty: Duty) -> None:
        """A dead database does not delay the end."""
        duty.errors = 1
        task = duty.start()
        await until(lambda: duty.turns == 1)
        duty.end()
        await asyncio.wait_for(task, WITHIN_S)
