"""A backfill from its first page to its last."""

import asyncio
from typing import Any

import pytest

from receiver.errors import StoreUnavailable
from receiver.operations.backfill import Tally, run_backfill
from receiver.store.backfill import Backfilled, Past, Stretch


class Pages:
    """Hands out pages of so many events; None fails."""

    def __init__(self, *pages: int | None) -> None:
        self._pages = list(pages)
        self.after: list[str] = []
        self.asked, self.released = asyncio.Event(), asyncio.Event()
        self.released.set()

    async def backfill(self, _past: Past, stretch: Stretch, **_how: Any) -> Backfilled:
        """Return the next page."""
        self.after.append(stretch.after)
        self.asked.set()
        await self.released.wait()
        events = self._pages.pop(0)
        if events is None:
            raise StoreUnavailable("no answer")
        return Backfilled(events, events - 1, 1, f"id_{len(self.after)}")


async def run(pages: Any, tally: Tally) -> int:
    """Run a backfill; return how often it yielded."""
    return len(
        [None async for _ in run_backfill(pages, Past("late"), tally, route=lambda _candidate, names: names)]
    )


class TestRunBackfill:
    async def test_goes_on_behind_each_page(self) -> None:
        """A page that is not full is the last; it is counted too."""
        pages, tally = Pages(200, 200, 3), Tally()
        assert await run(pages, tally) == 2
        assert (tally, pages.after) == (Tally(403, 400, 3, "id_3"), ["", "id_1", "id_2"])

    async def test_failure_keeps_the_count(self) -> None:
        """What was made before stays made."""
        tally = Tally()
        with pytest.raises(StoreUnavailable):
            await run(Pages(200, None), tally)
        assert tally.created == 199

    async def test_cancelled_half_way(self) -> None:
        """A page under way is waited for and counted, and nothing comes after it."""
        pages, tally = Pages(200, 200), Tally()
        pages.released.clear()
        work = asyncio.create_task(run(pages, tally))
        await pages.asked.wait()
        work.cancel()
        await asyncio.sleep(0)
        pages.released.set()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert (tally.created, pages.after) == (199, [""])
