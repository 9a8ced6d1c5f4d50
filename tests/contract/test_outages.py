"""What workers find down, as every other process sees it: kept alike by SQLite and PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from receiver.store import Store
from receiver.store.outages import ASSET_HOST, BUCKET, STALE_MS, Outage, find_outages, note_outages
from tests.stored import NOW

COMMON = (BUCKET, "*")
HOST = (ASSET_HOST, "cdn.example.com")


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database)
    yield opened
    opened.close()


class TestNoteOutages:
    async def test_seen_by_another_process(self, store: Store, either_database: str) -> None:
        """With the latest error, and since when, which noting it again does not change."""
        await store.transact(note_outages, {COMMON: "AccessDenied"}, now_ms=NOW)
        down = {COMMON: "SlowDown", HOST: "connect"}
        await store.transact(note_outages, down, now_ms=NOW + 5)
        with closing(Store(either_database)) as other:
            assert await other.transact(find_outages) == [
                Outage(BUCKET, "*", "SlowDown", NOW, NOW + 5),
                Outage(ASSET_HOST, "cdn.example.com", "connect", NOW + 5, NOW + 5),
            ]

    async def test_in_words(self, store: Store) -> None:
        """Each is called what an operator calls it."""
        down = {COMMON: "x", (BUCKET, "acme"): "x", HOST: "x"}
        await store.transact(note_outages, down, now_ms=NOW)
        assert sorted(one.title for one in await store.transact(find_outages)) == [
            "The asset host cdn.example.com",
            "The bucket",
            "The bucket of acme",
        ]

    async def test_over(self, store: Store) -> None:
        """What has ended is gone at once, and begins anew the next time."""
        await store.transact(note_outages, {COMMON: "x", HOST: "y"}, now_ms=NOW)
        await store.transact(note_outages, {HOST: "y"}, over=[COMMON], now_ms=NOW + 1)
        assert [one.kind for one in await store.transact(find_outages)] == [ASSET_HOST]
        await store.transact(note_outages, {COMMON: "x"}, now_ms=NOW + 2)
        assert [one.since_ms for one in await store.transact(find_outages)] == [NOW, NOW + 2]
        await store.transact(note_outages, {}, over=[COMMON, HOST], now_ms=NOW + 3)
        assert await store.transact(find_outages) == []

    async def test_of_a_worker_that_is_gone(self, store: Store) -> None:
        """It lasts no longer, and whoever finds something down next clears it away."""
        await store.transact(note_outages, {COMMON: "x", HOST: "y"}, now_ms=NOW)
        [first, _] = await store.transact(find_outages)
        assert (first.lasts(NOW + STALE_MS - 1), first.lasts(NOW + STALE_MS)) == (True, False)
        await store.transact(note_outages, {HOST: "z"}, now_ms=NOW + STALE_MS + 1)
        assert await store.transact(find_outages) == [
            Outage(ASSET_HOST, "cdn.example.com", "z", NOW + STALE_MS + 1, NOW + STALE_MS + 1)
        ]

    async def test_after_a_clock_was_set_back(self, store: Store) -> None:
        """A time in the future is no better than one long ago."""
        await store.transact(note_outages, {COMMON: "x"}, now_ms=NOW + 10 * STALE_MS)
        assert [one.lasts(NOW) for one in await store.transact(find_outages)] == [False]
        await store.transact(note_outages, {COMMON: "x"}, now_ms=NOW)
        assert await store.transact(find_outages) == [Outage(BUCKET, "*", "x", NOW, NOW)]
