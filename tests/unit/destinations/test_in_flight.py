"""The deadlines of sends in flight."""

import asyncio
import time

import pytest

from receiver.destinations.in_flight import InFlight


class TestDeadline:
    async def test_the_block_ends_in_time(self) -> None:
        """What takes longer than the deadline is cut off with a TimeoutError."""
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with InFlight().deadline(0.05):
                await asyncio.sleep(30)
        assert 0.04 < time.monotonic() - started < 5

    async def test_a_block_that_is_done_leaves_nothing(self) -> None:
        """`end` afterwards ends nobody."""
        in_flight = InFlight()
        async with in_flight.deadline(30):
            pass
        in_flight.end()
        assert not in_flight._deadlines


class TestEnd:
    async def test_every_block_ends_now(self) -> None:
        """All sends in flight end at once, each as at its deadline, also when told twice."""
        in_flight = InFlight()

        async def send() -> str:
            try:
                async with in_flight.deadline(30):
                    await asyncio.sleep(30)
            except TimeoutError:
                return "ended"
            return "slept"

        sends = [asyncio.ensure_future(send()) for _ in range(3)]
        await asyncio.sleep(0)
        in_flight.end()
        in_flight.end()
        assert await asyncio.wait_for(asyncio.gather(*sends), 5) == ["ended"] * 3

    async def test_the_next_block_is_not_affected(self) -> None:
        """Who begins after `end` has the whole time."""
        in_flight = InFlight()
        in_flight.end()
        async with in_flight.deadline(30):
            await asyncio.sleep(0)
