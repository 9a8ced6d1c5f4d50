"""What is pruned, what is not, and what is still known of it, on SQLite and PostgreSQL alike."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import Table, select, update

from receiver import operations
from receiver.contract import FAILED
from receiver.operations import Counted
from receiver.store import Store
from receiver.store.backfill import Past, Stretch, count_missed
from receiver.store.claim import claim_events
from receiver.store.fanout import everywhere
from receiver.store.filters import Filter
from receiver.store.ledger import StoreLedger
from receiver.store.operations import Order
from receiver.store.record import Duplicate, Late
from receiver.store.retention import Batch, Pruned, What, prune
from receiver.store.search import body_of_event, pruned_among, quarantined_body
from receiver.store.settlements import DeliveryConfirmed, EventSettled
from receiver.store.tables import DELIVERY, EVENT, OPERATION, QUARANTINE, RETAINED
from tests.contract.test_ledger import a_submission, waits
from tests.stored import ASSET, FAR, NOW, a_body, an_event, claim, claimed, dead, delivered, settled
from tests.waiting.blocking import until

DAY_MS = 24 * 3600 * 1000
BATCH = Batch(before_ms=NOW + DAY_MS, now_ms=NOW + 2 * DAY_MS, deliveries_before_ms=NOW + DAY_MS)


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=("orders", "audit"))
    yield opened
    opened.close()


@pytest.fixture
async def postgres(migrated_postgres_database: str) -> AsyncIterator[Store]:
    opened = Store(migrated_postgres_database, destinations=("orders", "audit"))
    yield opened
    opened.close()


async def pruned(store: Store, what: What, batch: Batch = BATCH) -> int:
    """Prune to the end."""
    count = 0
    while True:
        done = await store.transact(prune, what, batch)
        assert done is not None
        count += done.pruned
        if not done.more:
            return count


async def states(store: Store, table: Table = EVENT) -> list[str]:
    key = next(iter(table.primary_key))
    return [row.state for row in await store.transact(lambda c: c.execute(select(table).order_by(key)).all())]


async def confirm(store: Store, destination: str) -> None:
    for job in await claimed(store, destination, at=FAR):
        await store.settle(DeliveryConfirmed(job, NOW))


async def rows(store: Store, table: Table) -> int:
    return len(await store.transact(lambda c: c.execute(select(table)).all()))


class TestBodies:
    async def test_a_body_goes_and_a_repeat_is_known(self, store: Store) -> None:
        """Without its body an event still tells a duplicate by the first's id, and a late failure as late."""
        event = an_event()
        await delivered(store, event)
        assert await pruned(store, "bodies") == 1
        assert await store.transact(body_of_event, event.id) == b""
        assert await states(store) == ["pruned"]
        assert await store.record(an_event()) == Duplicate(event.id)
        failure = an_event(type_=FAILED)
        assert await store.record(failure) == Late(failure.id)

    async def test_nothing_younger_goes(self, store: Store) -> None:
        """Neither what arrived nor what was delivered since."""
        young = an_event("gen_young", at=NOW + DAY_MS)
        redelivered = an_event("gen_old")
        await delivered(store, redelivered, young)
        late = update(DELIVERY).where(
            DELIVERY.c.event_id == redelivered.id, DELIVERY.c.destination == "audit"
        )
        await store.transact(lambda c: c.execute(late.values(settled_ms=NOW + DAY_MS)))
        assert await pruned(store, "bodies") == 0
        assert await states(store) == ["settled", "settled"]

    async def test_what_is_needed_stays_until_it_is_not(self, store: Store) -> None:
        """Pending events and deliveries, dead letters and late assets: looked at again a day later."""
        [letter] = await dead(store, an_event("gen_dead"), destination="orders")
        await confirm(store, "audit")
        await settled(store, an_event("gen_pending_delivery"))
        unsettled = an_event("gen_pending")
        await store.record(unsettled)
        [job] = await store.claim(claim_events, claim(at=FAR), with_asset=False)
        hopes = replace(ASSET, status="failed", url=None, retried_until_ms=FAR)
        hopeful = an_event("gen_late")
        await store.record(hopeful)
        [hoping] = await store.claim(claim_events, replace(claim(at=FAR), limit=1), with_asset=False)
        assert await store.settle(EventSettled(hoping, hopes, NOW, retry_ms=FAR))
        assert await pruned(store, "bodies") == 0
        assert await rows(store, RETAINED) == 4
        tomorrow = replace(BATCH, now_ms=BATCH.now_ms + DAY_MS)
        assert await pruned(store, "retained", BATCH) == 0
        drop = await operations.begin(store, Order("deliveries.drop", Filter(ids=(letter,))))
        await operations.finish(store, drop.id)
        assert await pruned(store, "retained", tomorrow) == 1
        assert await store.transact(pruned_among, [letter]) == [letter]
        assert await rows(store, RETAINED) == 3
        assert await store.settle(EventSettled(job, None, NOW)), "the worker's lease is as it was"

    async def test_deliveries_without_an_age_stay(self, store: Store) -> None:
        """What was needed for longer loses its body alone."""
        await dead(store, an_event(), destination="orders")
        await confirm(store, "audit")
        assert await pruned(store, "bodies") == 0
        drop = await operations.begin(store, Order("deliveries.drop"))
        await operations.finish(store, drop.id)
        later = replace(BATCH, now_ms=BATCH.now_ms + DAY_MS, deliveries_before_ms=None)
        assert await pruned(store, "retained", later) == 1
        assert await rows(store, DELIVERY) == 2

    async def test_no_batch_looks_at_the_same_event_twice(self, store: Store) -> None:
        """A batch ends after as many as were asked for, and the next goes on behind them."""
        await delivered(store, *(an_event(f"gen_{number}", at=NOW + number) for number in range(5)))
        two = replace(BATCH, limit=2)
        found = [await store.transact(prune, "bodies", two) for _ in range(3)]
        assert [one.pruned for one in found if one] == [2, 2, 1]

    async def test_one_at_a_time(self, store: Store) -> None:
        """Within the rest after a batch nobody begins another, whoever asks."""
        resting = replace(BATCH, rest_ms=1_000)
        assert await store.transact(prune, "bodies", resting) is not None
        assert await store.transact(prune, "bodies", resting) is None
        later = replace(resting, now_ms=resting.now_ms + 1_000)
        assert await store.transact(prune, "bodies", later) is not None

    async def test_a_dry_run_changes_nothing(self, store: Store) -> None:
        """It counts, goes on behind what it looked at, and takes no turn."""
        await delivered(store, *(an_event(f"gen_{number}", at=NOW + number) for number in range(3)))
        first = await store.transact(prune, "bodies", replace(BATCH, limit=2, dry_run_after=""))
        assert first is not None
        second = await store.transact(prune, "bodies", replace(BATCH, limit=2, dry_run_after=first.cursor))
        assert (first.pruned, second) == (2, Pruned(1, 0, second.cursor if second else "", more=False))
        assert set(await states(store)) == {"settled"}
        assert await pruned(store, "bodies") == 3


class TestWhatIsPruned:
    async def test_is_not_sent_again(self, store: Store) -> None:
        """Neither by a replay nor by a backfill, with deliveries or without."""
        ids = await delivered(store, an_event())
        await pruned(store, "bodies")
        order = Order("events.replay", Filter(ids=tuple(ids)), ("orders", "new"), missing=True)
        assert await operations.count(store, order) == Counted(0, 0)
        assert await pruned(store, "deliveries") == 2
        found = await store.backfill(Past("orders"), Stretch(NOW), route=everywhere)
        assert (found.events, found.created) == (0, 0)
        assert await store.transact(count_missed, "orders") == 0

    async def test_is_not_restored(self, store: Store) -> None:
        """A drop that is taken back after its events were pruned makes no dead letter that cannot be sent."""
        await dead(store, an_event(), destination="orders")
        await confirm(store, "audit")
        order = await operations.begin(store, Order("deliveries.drop"))
        await operations.finish(store, order.id)
        assert await pruned(store, "bodies") == 1
        ended = await operations.cancel(store, order.id, patience_s=0)
        assert ended is not None
        assert ended.restored == 0
        assert set(await states(store, DELIVERY)) == {"delivered", "dropped"}

    async def test_has_its_deliveries_until_their_own_time(self, store: Store) -> None:
        """Deliveries go only where the body is gone: a backfill would make them again."""
        await delivered(store, an_event("gen_1"), an_event("gen_2"))
        assert await pruned(store, "deliveries") == 0
        await pruned(store, "bodies")
        assert await pruned(store, "deliveries", replace(BATCH, before_ms=NOW)) == 0
        assert await pruned(store, "deliveries") == 4


class TestQuarantine:
    async def test_only_what_is_closed(self, store: Store) -> None:
        """Open bodies stay; a repeat of one that was emptied is known."""
        opened, closed = a_body("{1}"), a_body("{2}")
        await store.record(opened)
        await store.record(closed)
        order = await operations.begin(store, Order("quarantine.drop", Filter(ids=(closed.id,))))
        await operations.finish(store, order.id)
        assert await pruned(store, "quarantine") == 1
        assert sorted(await states(store, QUARANTINE)) == ["open", "pruned"]
        assert await store.transact(quarantined_body, closed.id) == b""
        assert await store.record(a_body("{2}")) == Duplicate(closed.id)


class TestOperations:
    async def test_only_what_has_ended(self, store: Store) -> None:
        """A running operation stays, and so do the deliveries it has under way."""
        await delivered(store, an_event())
        replay = Order("events.replay", destinations=("orders",))
        running, ended = [await operations.begin(store, replay) for _ in range(2)]
        await operations.finish(store, ended.id)
        await confirm(store, "orders")
        other = update(DELIVERY).where(DELIVERY.c.destination == "orders").values(operation=running.id)
        await store.transact(lambda c: c.execute(other))
        assert await pruned(store, "bodies") == 0
        everything = replace(BATCH, before_ms=FAR)
        assert await pruned(store, "operations", everything) == 1
        assert await states(store, OPERATION) == ["running"]


class TestSubmissions:
    async def test_what_is_kept_of_an_old_one(self, store: Store) -> None:
        """Its key, generation and state: the name is still taken, and is given back the generation."""
        ledger = StoreLedger(store.engine, "photoverse")
        old = replace(a_submission(), sent_at=NOW / 1000)
        ledger.begin(old)
        ledger.settle(old.client_ref, state="submitted", generation_id="gen_1")
        assert await pruned(store, "submissions") == 1
        kept = ledger.begin(replace(old, request={"prompt": "another"}))
        assert kept == replace(old, state="submitted", generation_id="gen_1", request={}, metadata={})
        assert await pruned(store, "submissions") == 0

    async def test_only_what_is_old_and_decided(self, store: Store) -> None:
        """One in doubt keeps what was asked for, however old: nothing else would tell which it was."""
        ledger = StoreLedger(store.engine, "photoverse")
        for state, at in (("sending", NOW), ("unknown", NOW), ("refused", NOW), ("submitted", NOW + DAY_MS)):
            ledger.begin(replace(a_submission(state), sent_at=at / 1000))
            ledger.settle(state, state=state)
        dry = await store.transact(prune, "submissions", replace(BATCH, dry_run_after=""))
        assert dry == Pruned(1, 0, "", more=False)
        assert await pruned(store, "submissions") == 1
        emptied = {row.client_ref for row in ledger.list() if not row.request}
        assert emptied == {"refused"}


class TestBesideOthers:
    async def test_what_others_hold_is_not_waited_for(self, postgres: Store) -> None:
        """A replay that has an event, and a worker that has a delivery, keep it from being pruned."""
        ids = await delivered(postgres, an_event("gen_1"), an_event("gen_2"), an_event("gen_3"))
        event = select(EVENT).where(EVENT.c.id == ids[0]).with_for_update(read=True, key_share=True)
        delivery = select(DELIVERY).where(DELIVERY.c.event_id == ids[1]).with_for_update()
        with postgres.engine.begin() as other:
            other.execute(event)
            other.execute(delivery)
            assert await pruned(postgres, "bodies") == 1
        assert await postgres.transact(pruned_among, ids) == [ids[2]]

    async def test_who_waited_for_a_prune_leaves_what_it_took(self, postgres: Store) -> None:
        """A replay and a backfill that waited for an event which was pruned meanwhile make nothing of it."""
        await delivered(postgres, an_event())
        replay = Order("events.replay", destinations=("orders", "new"), missing=True)
        order = await operations.begin(postgres, replay)
        with postgres.engine.begin() as other:
            prune(other, "bodies", BATCH)
            replaying = asyncio.create_task(operations.finish(postgres, order.id))
            await asyncio.to_thread(until, lambda: waits(postgres))
            backfilling = asyncio.create_task(postgres.backfill(Past("new"), Stretch(NOW), route=everywhere))
            await asyncio.sleep(0)
        done = await replaying
        assert done is not None
        assert done.changed == 0
        assert (await backfilling).created == 0
        assert set(await states(postgres, DELIVERY)) == {"delivered"}
