"""Time that a test moves."""

import asyncio
import threading

import pytest

from receiver.sandbox import ManualClock, SystemClock


class TestManualClock:
    async def test_sleepers_wake_in_their_time(self) -> None:
        """Moved not far enough, nobody wakes; moved further, those who are due do."""
        clock = ManualClock(100.0)
        early, late = (asyncio.create_task(clock.sleep(s)) for s in (5, 10))
        await asyncio.sleep(0)
        clock.advance(4.9)
        await asyncio.sleep(0)
        assert not early.done()
        clock.advance(0.1)
        await early
        assert clock.now() == pytest.approx(105.0)
        assert not late.done()
        clock.advance(5)
        await late

    async def test_moves_from_any_thread(self) -> None:
        """A test drives it from outside the loop."""
        clock = ManualClock()
        sleeper = asyncio.create_task(clock.sleep(60))
        await asyncio.sleep(0)
        thread = threading.Thread(target=clock.advance, args=(60,))
        thread.start()
        await sleeper
        thread.join()

    async def test_no_time_is_no_wait(self) -> None:
        """Sleeping for nothing returns."""
        await ManualClock().sleep(0)

    async def test_a_cancelled_sleeper_is_forgotten(self) -> None:
        """Nothing is left to wake."""
        clock = ManualClock()
        sleeper = asyncio.create_task(clock.sleep(60))
        await asyncio.sleep(0)
        sleeper.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeper
        clock.advance(60)
        assert clock._sleepers == []


class TestSystemClock:
    async def test_is_the_machines(self) -> None:
        """It goes on by itself."""
        clock = SystemClock()
        before = clock.now()
        await clock.sleep(0.01)
        assert clock.now() - before > 0.005
