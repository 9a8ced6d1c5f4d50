"""Which files are deleted for their age, and what is said of them, on SQLite and PostgreSQL alike."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from receiver.events import ASSET_MIRRORED, Asset
from receiver.store import Store
from receiver.store.claim import claim_deliveries
from receiver.store.late import is_given_up
from receiver.store.old_assets import OldAsset, deleted_among, find_old_assets, note_deleted
from receiver.store.retention import Batch, end_turn
from receiver.store.tables import ASSET, DELIVERY
from tests.contract.test_store import plans, reads
from tests.stored import FAR, NOW, an_event, claim, dead, delivered, settled

DAY_MS = 24 * 3600 * 1000
BATCH = Batch(before_ms=NOW + DAY_MS, now_ms=NOW + 2 * DAY_MS)


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=("orders", "audit"))
    yield opened
    opened.close()


def a_file(name: str) -> Asset:
    return Asset("mirrored", f"s3://b/photoverse/{name}.png", "image/png", 7, "0" * 64)


async def found(store: Store, batch: Batch = BATCH) -> list[OldAsset]:
    page = await store.transact(find_old_assets, replace(batch, dry_run_after=""))
    assert page is not None
    return list(page.assets)


class TestFindOldAssets:
    async def test_what_is_old(self, store: Store) -> None:
        """Files stored before, of events that were delivered everywhere; younger ones stay."""
        [old] = await delivered(store, an_event("gen_old"), asset=a_file("gen_old"))
        assert await found(store) == [OldAsset("s3://b/photoverse/gen_old.png", (old,))]
        assert await found(store, replace(BATCH, before_ms=NOW)) == []

    async def test_what_is_needed(self, store: Store) -> None:
        """Pending and dead deliveries keep the file that their messages tell of."""
        await settled(store, an_event("gen_pending"), asset=a_file("gen_pending"))
        assert await found(store) == []

    async def test_dead_letters_keep_it(self, store: Store) -> None:
        """They may be sent again on request."""
        await dead(store, an_event())
        assert await found(store) == []

    async def test_a_file_goes_with_the_last_that_tells_of_it(self, store: Store) -> None:
        """A follow-up has the completion's file."""
        event = an_event("gen_1")
        follow_up = an_event("gen_1", ASSET_MIRRORED, at=NOW + 1)._replace(via="mirror")
        await delivered(store, event, follow_up, asset=a_file("gen_1"))
        young = ASSET.update().where(ASSET.c.event_id == follow_up.id)
        await store.transact(lambda c: c.execute(young.values(settled_ms=BATCH.before_ms)))
        assert await found(store) == []
        [asset] = await found(store, replace(BATCH, before_ms=BATCH.before_ms + 1))
        assert sorted(asset.event_ids) == sorted((event.id, follow_up.id))

    @pytest.mark.parametrize("name", ["0" * 64, "gen_10", "agen_1"])
    async def test_what_others_may_have(self, store: Store, name: str) -> None:
        """A name without the generation's id may be that of another's file: those stay."""
        await delivered(store, an_event("gen_1"), asset=a_file(name))
        assert await found(store) == []

    async def test_goes_on_behind_and_comes_back_a_day_later(self, store: Store) -> None:
        """What is needed is passed over, and holds nothing up."""
        for number in range(3):
            await delivered(store, an_event(f"gen_{number}"), asset=a_file(f"gen_{number}"))
        held = DELIVERY.update().where(DELIVERY.c.destination == "orders")
        await store.transact(lambda c: c.execute(held.values(state="dead")))
        two = replace(BATCH, limit=2)
        first = await store.transact(find_old_assets, two)
        assert first is not None
        assert (first.needed, first.more) == (2, True)
        assert await store.transact(find_old_assets, two) is None, "the first has its turn"
        await store.transact(end_turn, "assets", first.cursor, 0)
        second = await store.transact(find_old_assets, two)
        assert second is not None
        assert (second.needed, second.more) == (1, False)
        await store.transact(end_turn, "assets", second.cursor, 0)
        tomorrow = replace(two, now_ms=two.now_ms + DAY_MS)
        third = await store.transact(find_old_assets, tomorrow)
        assert third is not None
        assert third.needed == 2

    async def test_reads_the_index_alone(self, store: Store) -> None:
        """However many assets there are."""
        await delivered(store, *(an_event(f"gen_{n}") for n in range(5)), asset=a_file("x"))
        with plans(store) as seen:
            await found(store)
        assert reads(seen["SELECT asset"], "ix_asset_settled")


class TestNoteDeleted:
    async def test_is_told_and_not_tried_for(self, store: Store) -> None:
        """A replay says that the file was deleted, and what it was; nobody mirrors it again."""
        [id_] = await delivered(store, an_event("gen_1"), asset=a_file("gen_1"))
        assert await store.transact(note_deleted, await found(store)) == 1
        assert await store.transact(deleted_among, [id_, "other"]) == [id_]
        assert not await store.transact(is_given_up, id_)
        again = DELIVERY.update().values(state="pending", due_ms=NOW)
        await store.transact(lambda c: c.execute(again))
        [job] = await store.claim(claim_deliveries, claim(at=FAR), destination="orders")
        assert job.asset == Asset("failed", None, "image/png", 7, "0" * 64, error="deleted")
        assert await found(store) == []
        assert await store.transact(note_deleted, [OldAsset("s3://b/photoverse/gen_1.png", (id_,))]) == 0
