"""What an operator asks of the store, answered alike by SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Select, select, text, update
from sqlalchemy.event import listen

from receiver import clock, operations
from receiver.contract import FAILED
from receiver.events import Asset
from receiver.operations import Cancelled, Counted
from receiver.store import Store, resend, window
from receiver.store.attribution import attach
from receiver.store.claim import claim_deliveries, claim_events, renew
from receiver.store.filters import Filter
from receiver.store.jobs import DeliveryJob
from receiver.store.operations import Operation, Order, find_operation, latest_operations
from receiver.store.search import find_deliveries, find_events, find_quarantined, quarantined_body
from receiver.store.settlements import DeliveryConfirmed, DeliveryDead, DeliveryPostponed, EventSettled
from receiver.store.tables import DELIVERY, EVENT, QUARANTINE
from tests.contract.test_ledger import waits
from tests.stored import ASSET, FAR, NOW, a_body, an_event, claim, claimed, dead, delivered, settled
from tests.waiting.blocking import until

SECOND = 1_000


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=("orders", "audit"))
    yield opened
    opened.close()


async def done(store: Store, order: Order) -> Operation:
    """See *order* through."""
    operation = await operations.begin(store, order)
    finished = await operations.finish(store, operation.id)
    assert finished is not None
    return finished


async def states(store: Store, destination: str = "orders") -> dict[str, str]:
    """Return the state of each event's delivery."""
    ours = select(DELIVERY).where(DELIVERY.c.destination == destination)
    return {row.event_id: row.state for row in await store.transact(lambda c: c.execute(ours).all())}


async def found(store: Store, wanted: Filter, **how: Any) -> list[str]:
    page = await store.transact(find_deliveries, wanted, **how)
    return [row.event_id for row in page.rows]


def retry(wanted: Filter = Filter(), *, rate: float = 0) -> Order:  # noqa: B008  it is frozen
    return Order("deliveries.retry", wanted, rate=rate)


def replay(
    wanted: Filter = Filter(),  # noqa: B008  it is frozen
    *to: str,
    missing: bool = False,
    rate: float = 0,
) -> Order:
    return Order("events.replay", wanted, to or ("orders", "audit"), missing=missing, rate=rate)


async def repeated(store: Store, times: int) -> None:
    """Send again what died or waits, so many times."""
    await done(store, retry())
    for _ in range(times - 1):
        await done(store, retry(Filter(state="pending", destination="orders")))


async def kept_before(store: Store) -> str:
    """Return what the one delivery to `orders` was before."""
    kept = select(DELIVERY.c.before).where(DELIVERY.c.destination == "orders")
    return str(await store.transact(lambda c: c.execute(kept).scalar_one()))


class TestDeliveries:
    async def test_filters(self, store: Store) -> None:
        """Each filter alone keeps just what fits it."""
        events = [
            an_event("gen_a", at=NOW),
            an_event("gen_b", FAILED, at=NOW + SECOND, kind="video"),
            an_event("gen_c", at=NOW + 2 * SECOND, source="acme", kind="wav"),
        ]
        a, b, c = await dead(store, *events, error="HTTP 422 Café full")
        everywhere = Filter(destination="orders")
        assert await found(store, everywhere) == [a, b, c]
        assert await found(store, Filter(state="dead")) == [a, b, c]
        assert await found(store, Filter(state="pending")) == [a, b, c]  # those for `audit`
        assert await found(store, Filter(state="delivered")) == []
        assert await found(store, Filter(error="422 CAFÉ")) == [a, b, c]
        assert await found(store, Filter(error="refused")) == []
        assert await found(store, Filter(destination="orders", source="acme")) == [c]
        assert await found(store, Filter(destination="orders", kind="video")) == [b]
        assert await found(store, Filter(destination="orders", kind="unknown")) == [c]
        assert await found(store, Filter(destination="orders", type=FAILED)) == [b]
        assert await found(store, Filter(destination="orders", generation_id="gen_a")) == [a]
        assert await found(store, Filter(destination="orders", since_ms=NOW + SECOND)) == [b, c]
        assert await found(store, Filter(destination="orders", until_ms=NOW + SECOND)) == [a]
        assert await found(store, Filter(ids=(b,), destination="orders")) == [b]

    async def test_a_percent_sign_is_a_percent_sign(self, store: Store) -> None:
        """What is looked for in an error is text, not a pattern."""
        await dead(store, an_event(), error="disk 93% full")
        assert await found(store, Filter(error="93% f"))
        assert not await found(store, Filter(error="9%full"))

    @pytest.mark.parametrize("newest_first", [False, True])
    async def test_pages(self, store: Store, newest_first: bool) -> None:
        """Pages follow each other without gap or overlap, also where an event has several deliveries."""
        ids = await settled(store, *(an_event(f"gen_{n}", at=NOW + n) for n in range(7)))
        wanted = sorted((id_, name) for id_ in ids for name in ("audit", "orders"))
        seen, after, more = [], None, True
        while more:
            page = await store.transact(
                find_deliveries, Filter(), after=after, limit=3, newest_first=newest_first
            )
            seen += [(row.event_id, row.destination) for row in page.rows]
            after, more = page.cursor, page.more
        assert seen == (wanted[::-1] if newest_first else wanted)

    async def test_a_window_without_a_match_is_not_the_end(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Far behind what does not fit, what fits is found: the page is empty and says that there is more."""
        monkeypatch.setattr(window, "_CANDIDATES", 20)
        await settled(store, *(an_event(f"gen_{n}", at=NOW + n) for n in range(50)))
        (wanted,) = await settled(store, an_event("gen_last", FAILED, at=NOW + 900))
        first = await store.transact(find_deliveries, Filter(type=FAILED))
        assert (list(first.rows), first.more) == ([], True)
        ids = [one.id async for one in operations.every(store, Filter(type=FAILED))]
        assert ids == [wanted]

    async def test_dead_letters_are_read_from_their_index(self, store: Store) -> None:
        """Looking for dead letters does not read what was delivered, however much that is."""
        seen: list[tuple[str, Any]] = []
        listen(store.engine, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
        await store.transact(find_deliveries, Filter(state="dead"))
        query, parameters = next(one for one in seen if "FROM delivery" in one[0])
        plan = await store.transact(lambda c: _plan(store, c, query, parameters))
        assert "ix_delivery_dead" in plan


class TestRetry:
    async def test_dead_letters_are_due_again(self, store: Store) -> None:
        """They are sent under the same id with all their attempts before them; nothing else is touched."""
        ids = await dead(store, an_event("gen_a"), an_event("gen_b", at=NOW + 1))
        (other,) = await dead(store, an_event("gen_c"), error="timeout")
        operation = await done(store, retry(Filter(error="422")))
        assert (operation.state, operation.matched, operation.changed) == ("done", 2, 2)
        assert operation.deliveries == {"pending": 2}
        jobs = await claimed(store, at=FAR)
        assert sorted(job.event_id for job in jobs) == ids
        assert {(job.attempts, job.asset) for job in jobs} == {(1, ASSET)}
        assert (await states(store))[other] == "dead"

    async def test_a_rehearsal_changes_nothing(self, store: Store) -> None:
        """It counts what would be sent."""
        await dead(store, an_event("gen_a"), an_event("gen_b"))
        assert await operations.count(store, retry()) == Counted(2, 2)
        assert set((await states(store)).values()) == {"dead"}
        assert await store.transact(latest_operations) == []

    async def test_what_waits_is_sent_now(self, store: Store) -> None:
        """A delivery that backs off is due at once; one that a worker holds is left to it."""
        await settled(store, an_event("gen_a"), an_event("gen_b", at=NOW + 1))
        waiting, held = await claimed(store)
        await store.transact_promptly(renew, [held.lease], until_ms=FAR)
        await store.settle(DeliveryPostponed(waiting, FAR, "HTTP 503"))
        operation = await done(store, retry(Filter(state="pending", destination="orders")))
        assert (operation.matched, operation.changed) == (2, 1)
        (job,) = await claimed(store, at=operation.touched_ms + SECOND)
        assert job.event_id == waiting.event_id
        assert await store.settle(DeliveryConfirmed(held, NOW))

    async def test_each_of_many_is_taken_back(self, store: Store) -> None:
        """What was sent again many times while it waited is restored step by step, and grows little."""
        (id_,) = await dead(store, an_event(), error='says "no"')
        await repeated(store, 12)
        assert len(await kept_before(store)) < 4_000
        for operation in await store.transact(latest_operations):
            assert await states(store) == {id_: "pending"}
            await operations.cancel(store, operation.id)
        assert await states(store) == {id_: "dead"}

    async def test_never_keeps_more_than_it_may(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sent again every minute of an outage, a delivery forgets the first of these, and goes on."""
        monkeypatch.setattr(resend, "_LONGEST_BEFORE", 400)
        (id_,) = await dead(store, an_event())
        sizes = set()
        for _ in range(3):
            await repeated(store, 4)
            sizes.add(len(await kept_before(store)))
        assert max(sizes) < 800
        (latest,) = await store.transact(latest_operations, limit=1)
        assert await operations.cancel(store, latest.id) == Cancelled(1, 0)
        assert await states(store) == {id_: "pending"}

    async def test_what_is_held_back_for_its_submission_stays(self, store: Store) -> None:
        """A delivery that was never tried waits for the answer to the request that caused it."""
        await settled(store, an_event())
        await store.transact(lambda c: c.execute(update(DELIVERY).values(due_ms=FAR)))
        assert await operations.count(store, retry(Filter(state="pending"))) == Counted(2, 0)

    async def test_delivered_is_never_resurrected(self, store: Store) -> None:
        """No filter makes a retry send what was delivered."""
        ids = await delivered(store, an_event())
        operation = await done(store, retry(Filter(ids=tuple(ids), state="delivered")))
        assert operation.changed == 0
        assert await claimed(store, at=FAR) == []

    async def test_spreads_due_times(self, store: Store) -> None:
        """So many in a second, over all pages, so that live events come in between."""
        await dead(store, *(an_event(f"gen_{n}") for n in range(600)))
        operation = await done(store, retry(rate=100))
        rows = await store.transact(lambda c: c.execute(select(DELIVERY.c.due_ms, DELIVERY.c.state)).all())
        dues = sorted(row.due_ms for row in rows if row.due_ms >= operation.begun_ms)
        assert len(dues) == 600
        assert dues[-1] - dues[0] >= 5_990
        assert max(later - due for due, later in zip(dues, dues[100:], strict=False)) >= 1_000

    async def test_live_events_go_between(self, store: Store) -> None:
        """An event that is settled while a replay is under way is not behind all of it."""
        await dead(store, *(an_event(f"gen_{n}") for n in range(100)))
        operation = await done(store, retry(rate=10))
        now = operation.begun_ms + 1_500
        live = an_event("gen_live", at=now)
        await store.record(live)
        (job,) = await store.claim(claim_events, claim(at=now), with_asset=False)
        await store.settle(EventSettled(job, None, now))
        due = [job.event_id for job in await claimed(store, at=now)]
        assert live.id in due
        assert len(due) < 25

    async def test_a_late_answer_changes_no_message_that_was_sent(self, store: Store) -> None:
        """A submission found after a replay began is not attached: the message stays as it was."""
        await dead(store, an_event("gen_a"))
        await done(store, retry(rate=0.001))
        await store.transact(lambda c: c.execute(update(DELIVERY).values(due_ms=FAR)))
        await store.transact(attach, "photoverse", "gen_a", "{}", now_ms=NOW)
        rows = await store.transact(lambda c: c.execute(select(DELIVERY.c.submission)).scalars().all())
        assert set(rows) == {None}


class TestDrop:
    async def test_dropped_is_kept_and_never_sent(self, store: Store) -> None:
        """Neither a retry nor a replay sends it; the row stays."""
        (id_,) = await dead(store, an_event())
        assert (await done(store, Order("deliveries.drop", Filter(destination="orders")))).changed == 1
        assert await states(store) == {id_: "dropped"}
        assert (await done(store, retry())).changed == 0
        await done(store, replay())
        assert await claimed(store, at=FAR) == []

    async def test_only_dead_letters_are_dropped(self, store: Store) -> None:
        """Whatever the filter says."""
        await settled(store, an_event())
        assert (await done(store, Order("deliveries.drop", Filter(state="pending")))).changed == 0

    async def test_cancelled_they_are_dead_letters_again(self, store: Store) -> None:
        """A drop can be taken back."""
        (id_,) = await dead(store, an_event())
        operation = await done(store, Order("deliveries.drop"))
        assert await operations.cancel(store, operation.id) == Cancelled(1, 0)
        assert await states(store) == {id_: "dead"}
        assert await found(store, Filter(error="422")) == [id_]


class TestReplay:
    async def test_delivered_events_are_sent_again(self, store: Store) -> None:
        """Under the same id, with the mirrored asset, to the named destination only."""
        (id_,) = await delivered(store, an_event())
        operation = await done(store, replay(Filter(), "orders"))
        assert (operation.matched, operation.changed, operation.state) == (1, 1, "done")
        (job,) = await claimed(store, at=FAR)
        assert (job.event_id, job.asset, job.attempts) == (id_, ASSET, 1)
        assert await claimed(store, "audit", at=FAR) == []

    async def test_unsettled_and_late_events_are_not_sent(self, store: Store) -> None:
        """An event is forwarded only once its asset's fate is known, and a late failure never."""
        await delivered(store, an_event("gen_a"))
        await store.record(an_event("gen_a", FAILED))
        await store.record(an_event("gen_b"))
        assert await operations.count(store, replay()) == Counted(1, 2)

    async def test_missing_deliveries_are_made_only_if_asked_for(self, store: Store) -> None:
        """A destination that is new gets old events, which say what the others were told."""
        (id_,) = await delivered(store, an_event())
        told = update(DELIVERY).values(submission='{"client_ref":"order-1"}')
        await store.transact(lambda c: c.execute(told))
        assert (await done(store, replay(Filter(), "new"))).changed == 0
        operation = await done(store, replay(Filter(), "new", missing=True))
        assert operation.changed == 1
        (job,) = await claimed(store, "new", at=FAR)
        assert (job.event_id, job.submission) == (id_, {"client_ref": "order-1"})

    async def test_what_waits_anyway_is_left_alone(self, store: Store) -> None:
        """A pending delivery is sent once, not twice."""
        await settled(store, an_event())
        assert (await done(store, replay())).changed == 0

    async def test_many_pages(self, store: Store) -> None:
        """Every event once, however many pages there are, and whoever else drives the operation."""
        await delivered(store, *(an_event(f"gen_{n}", at=NOW + n) for n in range(230)))
        operation = await operations.begin(store, replay())
        await asyncio.gather(*(operations.finish(store, operation.id) for _ in range(3)))
        finished = await store.transact(find_operation, operation.id)
        assert finished is not None
        assert (finished.matched, finished.changed) == (230, 460)
        assert finished.deliveries == {"pending": 460}


class TestCancel:
    async def test_half_way(self, store: Store) -> None:
        """What was not sent has its state again; what was delivered stays; the rest was never touched."""
        await delivered(store, *(an_event(f"gen_{n}", at=NOW + n) for n in range(230)))
        before = await _rows(store)
        operation = await operations.begin(store, replay(Filter(), "orders"))
        await store.advance(operation.id, now_ms=NOW + 1, reread=operations.reread)
        sent, *_ = await store.claim(claim_deliveries, claim(1, at=FAR), destination="orders")
        await store.settle(DeliveryConfirmed(sent, NOW + 2))
        assert await operations.cancel(store, operation.id) == Cancelled(199, 0)
        finished = await operations.finish(store, operation.id)
        assert finished is not None
        assert (finished.state, finished.changed) == ("cancelled", 200)
        after = await _rows(store)
        key = (sent.event_id, "orders")
        assert after.pop(key)["state"] == before.pop(key)["state"] == "delivered"
        assert after == before
        assert await claimed(store, at=FAR) == []

    async def test_each_gets_the_state_it_had(self, store: Store) -> None:
        """Dead letters are dead again with their error and attempts, waiting ones wait as long as before."""
        await dead(store, an_event("gen_a"))
        await settled(store, an_event("gen_b", at=NOW + 1))
        (waiting,) = await claimed(store)
        await store.settle(DeliveryPostponed(waiting, FAR, "HTTP 503"))
        before = await _rows(store)
        first = await done(store, retry())
        second = await done(store, retry(Filter(state="pending", destination="orders")))
        assert second.changed == 2
        await operations.cancel(store, second.id)
        assert (await states(store)) == dict.fromkeys(await states(store), "pending")
        await operations.cancel(store, first.id)
        assert await _rows(store) == before

    async def test_what_the_replay_killed_was_delivered(self, store: Store) -> None:
        """A mistaken replay that the destination refused for good leaves no dead letters behind."""
        await delivered(store, *(an_event(f"gen_{n}", at=NOW + n) for n in range(3)))
        before = await _rows(store)
        operation = await done(store, replay(Filter(), "orders"))
        jobs = await store.claim(claim_deliveries, claim(3, at=FAR), destination="orders")
        await asyncio.gather(*(store.settle(DeliveryDead(job, NOW, "HTTP 400")) for job in jobs))
        assert await operations.cancel(store, operation.id) == Cancelled(3, 0)
        assert await _rows(store) == before

    async def test_made_deliveries_go(self, store: Store) -> None:
        """What a replay made and nobody got is as if it had never been."""
        await delivered(store, an_event())
        before = await _rows(store)
        operation = await done(store, replay(Filter(), "new", missing=True))
        await operations.cancel(store, operation.id)
        assert await _rows(store) == before

    async def test_waits_for_what_a_worker_holds(self, store: Store) -> None:
        """A delivery under way is not torn from its worker; it is taken back when its attempt failed."""
        (id_,) = await dead(store, an_event())
        operation = await done(store, retry())
        now = clock.now_ms()
        (held,) = await claimed(store, at=now + SECOND)
        assert await operations.cancel(store, operation.id) == Cancelled(0, 1)
        cancelling = asyncio.create_task(operations.cancel(store, operation.id, patience_s=20))
        await store.settle(DeliveryPostponed(held, FAR, "HTTP 503"))
        assert await cancelling == Cancelled(1, 0)
        assert await states(store) == {id_: "dead"}

    async def test_a_dead_workers_lease_is_fenced_off(self, store: Store) -> None:
        """Where the lease ran out, the delivery is taken back and its late worker writes nothing."""
        (id_,) = await dead(store, an_event())
        operation = await done(store, retry())
        await store.transact(lambda c: c.execute(update(DELIVERY).values(due_ms=0)))
        (late,) = await claimed(store, at=NOW)
        assert await operations.cancel(store, operation.id) == Cancelled(1, 0)
        assert not await store.settle(DeliveryConfirmed(late, NOW))
        assert await states(store) == {id_: "dead"}

    async def test_unknown(self, store: Store) -> None:
        """There is nothing to cancel, or to finish."""
        assert await operations.cancel(store, "0") is None
        assert await operations.finish(store, "0") is None


class TestRace:
    async def test_workers_and_operators_at_once(self, store: Store) -> None:
        """However they interleave, each delivery is in one known state and no lease is lost by it."""
        await delivered(store, *(an_event(f"gen_{n}", at=NOW + n) for n in range(100)))
        lost = 0

        async def work() -> None:
            nonlocal lost
            for _ in range(20):
                jobs = await store.claim(claim_deliveries, claim(20, at=FAR), destination="orders")
                results = await asyncio.gather(*(store.settle(DeliveryConfirmed(job, NOW)) for job in jobs))
                lost += results.count(False)

        async def operate() -> None:
            for _ in range(3):
                operation = await done(store, replay())
                await operations.cancel(store, operation.id)

        await asyncio.gather(work(), work(), operate(), operate())
        for operation in await store.transact(latest_operations):
            await operations.cancel(store, operation.id)
        assert lost == 0
        assert set((await states(store)).values()) == {"delivered"}


class TestLocksOnPostgres:
    async def test_a_deadlock_costs_no_settlement(self, migrated_postgres_database: str) -> None:
        """A batch that lost against another transaction, each waiting for the other, is written again."""
        url = f"{migrated_postgres_database}?options=-c%20deadlock_timeout%3D3000"
        store = Store(url, destinations=("orders",))
        await settled(store, an_event("gen_a"), an_event("gen_b", at=NOW + 1))
        first, second = await claimed(store)

        def locked(job: DeliveryJob) -> Select[Any]:
            return select(DELIVERY).where(DELIVERY.c.event_id == job.event_id).with_for_update()

        with store.engine.begin() as other:
            # Who looks last finds the deadlock and loses: that is to be the store, however slow we are.
            other.execute(text("SET LOCAL deadlock_timeout = '1min'"))
            other.execute(locked(second))
            put_off = (store.settle(DeliveryPostponed(job, FAR, "HTTP 503")) for job in (first, second))
            settling = asyncio.gather(*put_off)
            await asyncio.to_thread(until, lambda: waits(store))
            await asyncio.to_thread(other.execute, locked(first))
        assert await settling == [True, True]
        store.close()

    async def test_a_deadlock_costs_no_lease(self, migrated_postgres_database: str) -> None:
        """Whatever else lost against another transaction is done again too: leases that it renews hold."""
        url = f"{migrated_postgres_database}?options=-c%20deadlock_timeout%3D3000"
        store = Store(url, destinations=("orders",))
        await settled(store, an_event("gen_a"))
        (delivery,) = await claimed(store)
        await store.record(an_event("gen_b", at=NOW + 1))
        (event,) = await store.claim(claim_events, claim(at=NOW + 1), with_asset=False)
        with store.engine.begin() as other:
            # Who looks last finds the deadlock and loses: that is to be the store, however slow we are.
            other.execute(text("SET LOCAL deadlock_timeout = '1min'"))
            other.execute(select(DELIVERY).where(DELIVERY.c.lease == delivery.lease).with_for_update())
            renewing = asyncio.create_task(
                store.transact_promptly(renew, [event.lease, delivery.lease], until_ms=FAR)
            )
            await asyncio.to_thread(until, lambda: waits(store))
            locked = select(EVENT).where(EVENT.c.id == event.id).with_for_update()
            await asyncio.to_thread(other.execute, locked)
        await renewing
        due = await store.transact(lambda c: c.execute(select(EVENT.c.due_ms, EVENT.c.lease)).all())
        store.close()
        assert (FAR, event.lease) in [tuple(row) for row in due]

    async def test_a_retry_waits_for_no_worker(self, migrated_postgres_database: str) -> None:
        """Of what waits, what a worker is just settling is left to it."""
        store = Store(migrated_postgres_database, destinations=("orders",))
        await settled(store, an_event("gen_a"), an_event("gen_b", at=NOW + 1))
        waiting, held = await claimed(store)
        await store.settle(DeliveryPostponed(waiting, FAR, "HTTP 503"))
        with store.engine.begin() as worker:
            worker.execute(select(DELIVERY).where(DELIVERY.c.lease == held.lease).with_for_update())
            operation = await done(store, retry(Filter(state="pending")))  # fails at lock_timeout if it waits
        store.close()
        assert operation.changed == 1

    async def test_a_replay_waits_for_no_worker(self, migrated_postgres_database: str) -> None:
        """What a worker is settling is left alone, its lock included: two that wait for each other lose."""
        store = Store(migrated_postgres_database, destinations=("orders", "audit"))
        await settled(store, an_event())
        for job in await claimed(store):
            await store.settle(DeliveryConfirmed(job, NOW))
        with store.engine.begin() as worker:
            worker.execute(select(DELIVERY).where(DELIVERY.c.state == "pending").with_for_update())
            operation = await done(store, replay())  # fails at lock_timeout if it waits
        store.close()
        assert (operation.matched, operation.changed) == (1, 1)


class TestQuarantine:
    async def test_readable_ones_become_events(self, store: Store) -> None:
        """What this release reads is recorded once and resolved; the rest stays open."""
        bad = a_body("not json")
        good = a_body(
            '{"event": "generation.completed", "data": {"id": "gen_1", "type": "video"}}', at=NOW + 1
        )
        for one in (bad, good):
            await store.record(one)
        assert await operations.count(store, Order("quarantine.retry")) == Counted(2, 1)
        operation = await done(store, Order("quarantine.retry"))
        assert (operation.matched, operation.changed) == (2, 1)
        page = await store.transact(find_quarantined, Filter())
        assert [(row.id, row.state) for row in page.rows] == [(bad.id, "open"), (good.id, "resolved")]
        (event,) = (await store.transact(find_events, Filter())).rows
        assert (event.id, event.via, event.kind, event.state) == (
            page.rows[1].event_id,
            "quarantine",
            "video",
            "pending",
        )
        assert (await done(store, Order("quarantine.retry"))).matched == 1

    async def test_a_known_event_is_a_repeat(self, store: Store) -> None:
        """The dedupe is the same: what came in a readable form meanwhile is not forwarded twice."""
        first = an_event("gen_1")
        await store.record(first)
        await store.record(a_body('{"event": "generation.completed", "data": {"id": "gen_1"}}'))
        await done(store, Order("quarantine.retry"))
        (row,) = (await store.transact(find_quarantined, Filter(state="resolved"))).rows
        (event,) = (await store.transact(find_events, Filter())).rows
        assert (row.event_id, event.id, event.repeats) == (first.id, first.id, 1)

    async def test_dropped_and_taken_back(self, store: Store) -> None:
        """A dropped body is kept, is not read again, and can be opened again."""
        body = a_body('{"event": "generation.completed", "data": {"id": "gen_1"}}')
        await store.record(body)
        operation = await done(store, Order("quarantine.drop", Filter(error="GENERATION")))
        assert operation.changed == 1
        assert (await done(store, Order("quarantine.retry"))).matched == 0
        assert await store.transact(quarantined_body, body.id) == body.body
        assert await operations.cancel(store, operation.id) == Cancelled(1, 0)
        assert (await done(store, Order("quarantine.retry"))).changed == 1

    async def test_each_takes_back_its_own(self, store: Store) -> None:
        """What another operation dropped stays dropped, and no other source's is touched."""
        first, second = a_body("first"), a_body("second", at=NOW + 1)
        for body in (first, second):
            await store.record(body)
        await done(store, Order("quarantine.drop", Filter(ids=(first.id,))))
        assert (await done(store, Order("quarantine.drop", Filter(source="other")))).matched == 0
        rest = await done(store, Order("quarantine.drop", Filter(source="photoverse")))
        for restored in (1, 0):
            assert await operations.cancel(store, rest.id) == Cancelled(restored, 0)
        page = await store.transact(find_quarantined, Filter())
        assert [(row.id, row.state) for row in page.rows] == [(first.id, "dropped"), (second.id, "open")]

    async def test_the_release_before_still_writes(self, store: Store) -> None:
        """A process that does not know the new columns quarantines as before, while releases roll."""
        insert = text(
            "INSERT INTO quarantine (id, source, sha256, reason, body, received_ms, repeats)"
            " VALUES ('1', 'photoverse', '2', 'not_json', :body, 3, 0)"
        )
        await store.transact(lambda c: c.execute(insert, {"body": b"x"}))
        rows = await store.transact(lambda c: c.execute(select(QUARANTINE.c.state)).scalars().all())
        assert rows == ["open"]


class TestEvents:
    async def test_tells_of_asset_and_deliveries(self, store: Store) -> None:
        """One look says how far an event is."""
        (id_,) = await dead(store, an_event())
        await store.record(an_event())
        (event,) = (await store.transact(find_events, Filter(ids=(id_,)))).rows
        assert event.deliveries == {"dead": 1, "pending": 1}
        assert (event.asset, event.repeats, event.state) == (ASSET, 1, "settled")

    async def test_filters(self, store: Store) -> None:
        """By state, by destination, and by why there is no asset."""
        await delivered(store, an_event("gen_a"))
        await store.record(an_event("gen_b", at=NOW + 1))
        (job,) = await store.claim(claim_events, claim(at=FAR), with_asset=False)
        await store.settle(EventSettled(job, Asset("failed", error="http_404"), NOW))
        waiting = an_event("gen_c", at=NOW + 2)
        await store.record(waiting)
        assert [row.id for row in (await store.transact(find_events, Filter(error="404"))).rows] == [job.id]
        assert [row.id for row in (await store.transact(find_events, Filter(state="pending"))).rows] == [
            waiting.id
        ]
        assert len((await store.transact(find_events, Filter(destination="audit"))).rows) == 2

    async def test_follow(self, store: Store) -> None:
        """Each event comes once and in order of arrival, also one that was committed late."""
        at = NOW + 100 * SECOND
        first, late, last = (an_event(f"gen_{n}", at=at + n * SECOND) for n in range(3))
        await store.record(an_event("gen_old", at=NOW))
        await store.record(first)
        following = operations.follow(store, Filter(), since_ms=at, poll_s=0)
        seen = [[one.id for one in await anext(following)]]
        await store.record(last)
        seen.append([one.id for one in await anext(following)])
        await store.record(late)
        seen.append([one.id for one in await anext(following)])
        seen.append([one.id for one in await anext(following)])
        assert seen == [[first.id], [last.id], [late.id], []]


async def _rows(store: Store) -> dict[tuple[str, str], dict[str, Any]]:
    """Return every delivery as it is, but for which operation it took part in."""
    rows: Sequence[Any] = await store.transact(lambda c: c.execute(select(DELIVERY)).all())
    return {
        (row.event_id, row.destination): {
            name: value for name, value in row._asdict().items() if name not in ("operation", "before")
        }
        for row in rows
    }


def _plan(store: Store, connection: Any, query: str, parameters: Any) -> str:
    if not store.is_embedded:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    explain = "EXPLAIN QUERY PLAN " if store.is_embedded else "EXPLAIN "
    return str(connection.exec_driver_sql(explain + query, parameters).all())
