"""What the store says of assets, alike on SQLite and PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from receiver.contract import COMPLETED, FAILED
from receiver.events import Asset, event_id
from receiver.store import Store
from receiver.store.assets import has_assets_below
from receiver.store.claim import claim_events
from receiver.store.inventory import KnownAsset, Scope, count_assets, known_assets, relocate
from receiver.store.record import NewEvent
from receiver.store.settlements import EventSettled
from receiver.store.tables import ASSET
from tests.contract.test_late_assets import GIVEN_UP, MIRRORED, NOW, RETRY_MS, arrived, claim, late

HOUR_MS = 3_600_000
EVERYTHING = Scope()
BODY = b'{"event":"generation.completed","data":{"id":"gen"}}'
GONE = Asset("failed", error="http_404")


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=("orders",))
    yield opened
    opened.close()


async def settled(
    store: Store,
    generation_id: str,
    asset: Asset | None = MIRRORED,
    *,
    at: int = NOW,
    source: str = "photoverse",
    type_: str = COMPLETED,
) -> str:
    """Record an event at a time and settle it; return its id."""
    new_id = event_id(at, (source[:3] + generation_id).encode().rjust(10, b"\0"))
    await store.record(NewEvent(new_id, source, generation_id, type_, "cdn", BODY, "webhook", at))
    (job,) = await store.claim(claim_events, claim(1, at=at), with_asset=True)
    retry_ms = RETRY_MS if asset and asset.retried_until_ms else None
    assert await store.settle(EventSettled(job, asset, at, retry_ms))
    return new_id


async def everything(store: Store, scope: Scope = EVERYTHING, *, page: int = 100) -> list[KnownAsset]:
    found: list[KnownAsset] = []
    while more := await store.transact(
        known_assets, scope, after=found[-1].event_id if found else "", limit=page
    ):
        found += more
    return found


class TestHasAssetsBelow:
    async def test_only_what_is_mirrored_there(self, store: Store) -> None:
        """A URL is a prefix as it is, whatever a pattern would make of it; what was given up is nowhere."""
        await settled(store, "gen_1", GONE)
        assert not await store.transact(has_assets_below, "s3://")
        await settled(store, "gen_2", MIRRORED)
        assert MIRRORED.url
        assert await store.transact(has_assets_below, MIRRORED.url)
        assert not await store.transact(has_assets_below, "s%")


class TestKnownAssets:
    async def test_what_was_mirrored(self, store: Store) -> None:
        """Each mirrored asset comes with its event; those without or given up do not."""
        first = await settled(store, "gen_a")
        await settled(store, "gen_b", None)
        await settled(store, "gen_c", GONE)
        (known,) = await everything(store)
        assert known == KnownAsset(first, "photoverse", "gen_a", BODY, NOW, MIRRORED)
        assert await store.transact(count_assets, EVERYTHING) == 1

    async def test_what_was_given_up(self, store: Store) -> None:
        """Given-up assets of completions are among them where they are asked for."""
        first = await settled(store, "gen_a", GONE)
        await settled(store, "gen_b", GONE, type_=FAILED)
        (known,) = await everything(store, Scope(with_failed=True))
        assert (known.event_id, known.asset) == (first, GONE)

    async def test_pages(self, store: Store) -> None:
        """Pages follow each other without gap or overlap, oldest first."""
        ids = [await settled(store, f"gen_{number}", at=NOW + number) for number in range(7)]
        for page in (1, 3, 7):
            assert [known.event_id for known in await everything(store, page=page)] == ids
        assert await store.transact(count_assets, EVERYTHING) == 7

    async def test_span_of_time(self, store: Store) -> None:
        """From one moment on, and before another."""
        ids = [await settled(store, f"gen_{hour}", at=NOW + hour * HOUR_MS) for hour in range(4)]
        scope = Scope(since_ms=NOW + HOUR_MS, until_ms=NOW + 3 * HOUR_MS)
        assert [known.event_id for known in await everything(store, scope)] == ids[1:3]
        assert await store.transact(count_assets, scope) == 2

    async def test_source(self, store: Store) -> None:
        """Of one account only."""
        await settled(store, "gen_a")
        other = await settled(store, "gen_a", source="acme")
        assert [known.event_id for known in await everything(store, Scope(source="acme"))] == [other]

    async def test_follow_ups_count_once(self, store: Store) -> None:
        """A file that came late is its completion's; the event that told of it is none of its own."""
        first = await settled(store, "gen_a", GIVEN_UP)
        result = arrived(await late(store))
        assert await store.settle(result)
        assert [known.event_id for known in await everything(store, Scope(with_failed=True))] == [first]


class TestRelocate:
    async def test_moves_every_event_that_told_of_it(self, store: Store) -> None:
        """Completion and follow-up both say where the file lies now; others stay as they are."""
        await settled(store, "gen_a", GIVEN_UP)
        await store.settle(arrived(await late(store)))
        other = await settled(store, "gen_b")
        (known,) = [one for one in await everything(store) if one.event_id != other]
        assert await store.transact(relocate, known, url="s3://bucket/k-beside.png")
        assert not await store.transact(relocate, known, url="s3://bucket/again.png")
        with store.engine.begin() as connection:
            urls = dict(connection.execute(select(ASSET.c.event_id, ASSET.c.url)).all())
        assert urls.pop(other) == MIRRORED.url
        assert list(urls.values()) == ["s3://bucket/k-beside.png"] * 2
