"""Which page to ask for next, and when everything since the floor was seen."""

import random
from itertools import product
from typing import Any

import pytest

from receiver.worker.sweep import Sweep, order_of
from tests.unit.worker.listing import NOW, Listing, page, row

MINUTE_MS = 60_000


def history(count: int, *, every_ms: int = MINUTE_MS, status: str = "completed") -> list[dict[str, Any]]:
    """Return so many generations, oldest first, the last one made now."""
    return [row(n, status, at_ms=NOW - (count - 1 - n) * every_ms) for n in range(count)]


async def swept(listing: Listing, sweep: Sweep, *, at_most: int = 1_000) -> list[str]:
    """Go on with *sweep* until it is finished or has asked often enough; return the ids it saw."""
    seen = []
    for _ in range(at_most):
        if sweep.finished:
            break
        seen += [one.id for one in sweep.take(await listing.list(limit=100, offset=sweep.offset))]
    return seen


def shuffled(count: int, seed: int) -> list[int]:
    positions = list(range(count))
    random.Random(seed).shuffle(positions)
    return positions


class TestTake:
    @pytest.mark.parametrize("order", ["newest_first", "oldest_first", shuffled(600, 1)])
    async def test_sees_everything_since_the_floor(
        self, order: str | list[int], subtests: pytest.Subtests
    ) -> None:
        """Whatever the order, the width of a page and the total told: nothing since the floor is missed."""
        for since, total, widest in product((0, 99, 599), (None, 600, 100, 9_999), (100, 23)):
            with subtests.test(since=since, total=total, widest=widest):
                listing = Listing(history(600), order, widest, total)
                floor_ms = NOW - since * MINUTE_MS
                sweep = Sweep(floor_ms, NOW)
                seen = await swept(listing, sweep)
                assert sweep.finished
                assert {f"gen_{n}" for n in range(599 - since, 600)} <= set(seen)
                assert len(seen) == len(set(seen))

    @pytest.mark.parametrize(
        ("order", "total", "length", "requests"),
        [
            ("newest_first", None, 0, 2),
            ("oldest_first", 1_500, 0, 4),
            ("oldest_first", None, 1_500, 4),
            ("oldest_first", None, 0, 18),
            (shuffled(1_500, 1), 1_500, 0, 18),
        ],
    )
    async def test_asks_for_little(
        self, order: str | list[int], total: int | None, length: int, requests: int
    ) -> None:
        """A list in order is read near its new end only, once it is known where that is."""
        listing = Listing(history(1_500), order, total=total)
        sweep = Sweep(NOW - 120 * MINUTE_MS, NOW, length)
        await swept(listing, sweep)
        assert len(listing.asked) == requests

    @pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
    async def test_quiet_account_costs_little(self, order: str) -> None:
        """With nothing new since the floor one page is enough, or three where the end has to be found."""
        listing = Listing(history(1_500), order, total=1_500)
        await swept(listing, Sweep(NOW + 1, NOW))
        assert len(listing.asked) == (1 if order == "newest_first" else 3)

    async def test_empty_account(self) -> None:
        """An empty list is finished at once, and tells no time."""
        sweep = Sweep(0, NOW)
        assert await swept(Listing(), sweep) == []
        assert sweep.finished
        assert sweep.low_water_ms is None

    @pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
    async def test_list_grows_while_it_is_read(self, order: str) -> None:
        """Rows that arrive between two pages hide none that were there."""
        arriving = [row(9_000 + n, at_ms=NOW) for n in range(200)]
        listing = Listing(history(500), order, total=None, arriving=arriving)
        seen = await swept(listing, Sweep(0, NOW))
        assert {f"gen_{n}" for n in range(500)} <= set(seen)

    @pytest.mark.parametrize("arrivals", [85, 90, 95, 150])
    async def test_many_arrive_at_once(self, arrivals: int) -> None:
        """As many arrivals as a page has rows, or more, do not look like the end of the list."""
        listing = Listing(history(500))
        sweep = Sweep(0, NOW)
        first = sweep.take(await listing.list(limit=100, offset=sweep.offset))
        listing.rows += [row(9_000 + n, at_ms=NOW) for n in range(arrivals)]
        seen = {one.id for one in first} | set(await swept(listing, sweep))
        assert {f"gen_{n}" for n in range(500)} <= seen

    async def test_page_that_is_cut_short(self) -> None:
        """A short page on the way back leaves no gap."""
        listing = Listing(history(600), "oldest_first", total=600, widths=[100, 100, 100, 40])
        seen = await swept(listing, Sweep(NOW - 250 * MINUTE_MS, NOW))
        assert {f"gen_{n}" for n in range(349, 600)} <= set(seen)

    async def test_offset_that_is_ignored(self) -> None:
        """A provider that always gives its first page is not asked for ever."""
        sweep = Sweep(0, NOW)
        same = page(*history(100)[::-1])
        for _ in range(4):
            if not sweep.finished:
                sweep.take(same)
        assert sweep.finished

    async def test_order_that_changes_is_not_trusted(self) -> None:
        """A list that looked oldest first, and is not, is read whole in the end."""
        rows = history(1_000)
        order = [*range(300), *reversed(range(300, 1_000))]
        listing = Listing(rows, order, total=1_000)
        seen = await swept(listing, Sweep(NOW - 2 * MINUTE_MS, NOW))
        assert {"gen_997", "gen_998", "gen_999"} <= set(seen)

    async def test_rows_without_a_time(self) -> None:
        """Where rows do not say when they were made the list is read whole."""
        rows = history(300)
        rows[250]["created_at"] = None
        seen = await swept(Listing(rows), Sweep(NOW - MINUTE_MS, NOW))
        assert len(seen) == 300

    @pytest.mark.parametrize("order", ["newest_first", "oldest_first", shuffled(1_500, 2)])
    async def test_goes_on_where_it_was(self, order: str | list[int]) -> None:
        """A sweep that is kept and taken up again, page after page, still misses nothing."""
        listing = Listing(history(1_500), order, total=1_500)
        sweep, seen = Sweep(NOW - 700 * MINUTE_MS, NOW), []
        while not sweep.finished:
            seen += await swept(listing, sweep, at_most=1)
            sweep = Sweep(**sweep.state())
        assert {f"gen_{n}" for n in range(799, 1_500)} <= set(seen)


class TestLowWater:
    async def test_is_the_newest_that_was_seen(self) -> None:
        """By the provider's clock, unless ours says that the sweep began earlier."""
        for started, reached in [(NOW + 5, NOW), (NOW - 5, NOW - 5)]:
            sweep = Sweep(0, started)
            await swept(Listing(history(20)), sweep)
            assert sweep.low_water_ms == reached

    async def test_waiting_are_the_unfinished(self) -> None:
        """What is still in the making is kept with its time, also in words that we do not know."""
        rows = [row(1, "processing", at_ms=NOW - 3), row(2, "queued", at_ms=None), row(3, "failed")]
        sweep = Sweep(0, NOW)
        await swept(Listing(rows), sweep)
        assert sweep.waiting == {"gen_1": NOW - 3, "gen_2": None}


class TestOrderOf:
    @pytest.mark.parametrize(
        ("times", "order"),
        [
            ([], "unknown"),
            ([1_000], "unknown"),
            ([1_000, 1_000], "unknown"),
            ([1_000, 1_000, 2_000], "oldest_first"),
            ([3_000, 1_000, 1_000], "newest_first"),
            ([1_000, 3_000, 2_000], "mixed"),
            ([3_000, None, 2_000], "mixed"),
        ],
    )
    def test_of_a_page(self, times: list[int | None], order: str) -> None:
        """Equal times fit any order; a missing one fits none."""
        assert order_of(page(*(row(n, at_ms=at) for n, at in enumerate(times)))) == order
