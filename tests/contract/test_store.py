"""The store's promises, kept alike by SQLite and PostgreSQL."""

import asyncio
import itertools
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.event import listen, remove

from receiver.contract import COMPLETED, FAILED
from receiver.errors import StoreUnavailable
from receiver.events import Asset, event_id
from receiver.store import Store
from receiver.store.claim import Away, Claim, claim_deliveries, claim_events, release, renew
from receiver.store.committer import Committer
from receiver.store.jobs import DeliveryJob, EventJob, Sources
from receiver.store.migrations import revisions
from receiver.store.record import Duplicate, Late, NewEvent, NewQuarantine, Recorded
from receiver.store.settlements import (
    DeliveryConfirmed,
    DeliveryDead,
    DeliveryPostponed,
    EventPostponed,
    EventSettled,
)
from receiver.store.spools import awaiting_asset
from receiver.store.tables import ASSET, DELIVERY, EVENT, QUARANTINE
from receiver.store.wake import FORWARD, MIRROR, SETTLE

NOW = 1_700_000_000_000
LEASE_MS = 60_000


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=("orders", "audit"))
    yield opened
    opened.close()


def an_event(generation_id: str = "gen_1", type_: str = COMPLETED, *, host: str | None = None) -> NewEvent:
    new_id = event_id(NOW, secrets.token_bytes(10))
    return NewEvent(new_id, "photoverse", generation_id, type_, host, b'{"\x00\xff', "webhook", NOW)


def a_quarantine(digest: str = "0" * 64) -> NewQuarantine:
    new_id = event_id(NOW, secrets.token_bytes(10))
    return NewQuarantine(new_id, "photoverse", digest, "not_json", b"\x00\xff", NOW)


def claim(limit: int = 100, *, at: int = NOW, lease: str | None = None) -> Claim:
    return Claim(at, at + LEASE_MS, lease or secrets.token_hex(16), limit)


async def claimed_event(store: Store, *, at: int = NOW) -> EventJob:
    (job,) = await store.claim(claim_events, claim(1, at=at), with_asset=False)
    return job


async def claimed_delivery(store: Store, destination: str = "orders", *, at: int = NOW) -> DeliveryJob:
    (job,) = await store.claim(claim_deliveries, claim(1, at=at), destination=destination)
    return job


async def settled_event(store: Store, asset: Asset | None = None) -> EventJob:
    await store.record(an_event())
    job = await claimed_event(store)
    assert await store.settle(EventSettled(job, asset, NOW))
    return job


class TestRecord:
    async def test_first_is_recorded(self, store: Store) -> None:
        """A new event is recorded under its own id, its bytes kept whole, NUL and all."""
        event = an_event()
        assert await store.record(event) == Recorded(event.id)
        with store.engine.begin() as connection:
            row = connection.execute(select(EVENT)).one()
        assert (row.id, row.body, row.state, row.repeats) == (event.id, event.body, "pending", 0)

    async def test_repeat_is_counted_on_the_first(self, store: Store) -> None:
        """The same generation and type again gives the first event's id and counts the repeat."""
        first = an_event()
        await store.record(first)
        assert await store.record(an_event()) == Duplicate(first.id)
        assert await store.record(an_event()) == Duplicate(first.id)
        with store.engine.begin() as connection:
            assert connection.execute(select(EVENT.c.repeats)).scalars().all() == [2]

    async def test_repeats_that_share_a_transaction(self, store: Store) -> None:
        """Each is counted once, whether all events are known or some are new, and whoever refers to one."""
        names = ["gen_a", "gen_b", "gen_b", "gen_b"]
        await store.record(an_event("gen_a"))
        await store.record(an_event("gen_b"))
        with store.engine.connect() as other:
            if not store.is_embedded:
                other.execute(select(EVENT.c.id).with_for_update(read=True, key_share=True))
            for batch in (names, [*names, "gen_new", "gen_new"]):
                await asyncio.gather(*(store.record(an_event(name)) for name in batch))
        with store.engine.begin() as connection:
            found = connection.execute(select(EVENT.c.generation_id, EVENT.c.repeats)).all()
        assert {row.generation_id: row.repeats for row in found} == {"gen_a": 2, "gen_b": 6, "gen_new": 1}

    async def test_again_beside_a_new_one(self, store: Store) -> None:
        """What was recorded by a commit whose answer was lost is no repeat of itself."""
        event, new = an_event("gen_a"), an_event("gen_b")
        assert await store.record(event) == Recorded(event.id)
        again, first = await asyncio.gather(store.record(event), store.record(new))
        assert (again, first) == (Recorded(event.id), Recorded(new.id))
        with store.engine.begin() as connection:
            assert connection.scalars(select(EVENT.c.repeats)).all() == [0, 0]

    async def test_streak_of_repeats(self, store: Store) -> None:
        """After a batch of repeats, the next one is inserted only as far as it holds no repeats."""

        async def batch(*names: str) -> list[type]:
            events = [an_event(name) for name in names]
            return [type(one) for one in await asyncio.gather(*(store.record(event) for event in events))]

        assert await batch("gen_a", "gen_b") == [Recorded, Recorded]
        assert await batch("gen_b", "gen_a") == [Duplicate, Duplicate]
        seen: list[str] = []
        listen(store.engine, "before_cursor_execute", lambda *call: seen.append(call[2]))
        assert await batch("gen_a", "gen_a", "gen_b") == [Duplicate] * 3
        assert not any(statement.startswith("INSERT") for statement in seen)
        assert await batch("gen_new", "gen_b", "gen_new") == [Recorded, Duplicate, Duplicate]
        assert await batch("gen_later") == [Recorded]
        with store.engine.begin() as connection:
            found = connection.execute(select(EVENT.c.generation_id, EVENT.c.repeats)).all()
        repeats = {row.generation_id: row.repeats for row in found}
        assert repeats == {"gen_a": 3, "gen_b": 3, "gen_new": 1, "gen_later": 0}

    async def test_repeats_rewrite_rows_in_place(self, migrated_postgres_database: str) -> None:
        """On PostgreSQL a page keeps room for the new version of a row, so no index changes for a repeat."""
        store = Store(migrated_postgres_database)
        events = [an_event(f"gen_{number:03}") for number in range(100)]
        await asyncio.gather(*(store.record(event) for event in events))
        await store.record(an_event("gen_000"))
        with store.engine.begin() as connection:
            moved_to = connection.execute(text("SELECT ctid::text FROM event WHERE repeats = 1")).scalar_one()
        store.close()
        assert moved_to.startswith("(0,")

    async def test_fifty_at_once_make_one_event(self, store: Store) -> None:
        """Invariant 3: fifty parallel copies make one event and forty-nine duplicates of it."""
        results = await asyncio.gather(*(store.record(an_event()) for _ in range(50)))
        recorded = [result for result in results if isinstance(result, Recorded)]
        assert len(recorded) == 1
        assert results.count(Duplicate(recorded[0].id)) == 49

    async def test_other_source_is_another_event(self, store: Store) -> None:
        """Two accounts may use the same generation id."""
        await store.record(an_event())
        other = NewEvent(event_id(NOW, b"0" * 10), "acme", "gen_1", COMPLETED, None, b"{}", "webhook", NOW)
        assert await store.record(other) == Recorded(other.id)

    async def test_completed_after_failed_is_recorded(self, store: Store) -> None:
        """A completion after a failure is a real change."""
        await store.record(an_event(type_=FAILED))
        assert isinstance(await store.record(an_event(type_=COMPLETED)), Recorded)

    async def test_failed_after_completed_is_late(self, store: Store) -> None:
        """A failure after a completion is kept, never queued; a repeat of it is a duplicate."""
        await store.record(an_event(type_=COMPLETED))
        late = an_event(type_=FAILED)
        assert await store.record(late) == Late(late.id)
        assert await store.record(an_event(type_=FAILED)) == Duplicate(late.id)
        jobs = await store.claim(claim_events, claim(), with_asset=False)
        assert late.id not in [job.id for job in jobs]

    async def test_order_within_one_batch_decides_lateness(self, store: Store) -> None:
        """Of deliveries that share a transaction, a failure is late only behind the completion."""
        results = await asyncio.gather(
            store.record(an_event("gen_a", FAILED)),
            store.record(an_event("gen_a", COMPLETED)),
            store.record(an_event("gen_b", COMPLETED)),
            store.record(an_event("gen_b", FAILED)),
        )
        assert [type(result) for result in results] == [Recorded, Recorded, Recorded, Late]

    async def test_quarantine_keeps_bytes_once(self, store: Store) -> None:
        """An unreadable delivery is kept whole; the same bytes again are counted."""
        first = a_quarantine()
        assert await store.record(first) == Recorded(first.id)
        assert await store.record(a_quarantine()) == Duplicate(first.id)
        with store.engine.begin() as connection:
            row = connection.execute(select(QUARANTINE)).one()
        assert (row.body, row.repeats) == (b"\x00\xff", 1)

    async def test_events_and_quarantine_share_a_batch(self, store: Store) -> None:
        """Each caller gets the result of its own entry."""
        entries: list[NewEvent | NewQuarantine] = [
            an_event("gen_a"),
            a_quarantine("1" * 64),
            an_event("gen_b"),
            a_quarantine("2" * 64),
        ]
        results = await asyncio.gather(*(store.record(entry) for entry in entries))
        assert list(results) == [Recorded(entry.id) for entry in entries]

    async def test_two_processes_record_the_same_events(self, store: Store) -> None:
        """Two stores given the same events in opposite orders agree, and never deadlock."""
        other = Store(store.engine.url.render_as_string(hide_password=False))
        names = [f"gen_{number}" for number in range(60)]
        try:
            results = await asyncio.gather(
                *itertools.chain.from_iterable(
                    (store.record(an_event(one)), other.record(an_event(two)))
                    for one, two in zip(names, reversed(names), strict=True)
                )
            )
        finally:
            other.close()
        assert sum(isinstance(result, Recorded) for result in results) == 60


class TestClaimEvents:
    async def test_claims_only_once(self, store: Store) -> None:
        """What one claim holds, another does not get."""
        await store.record(an_event())
        assert len(await store.claim(claim_events, claim(), with_asset=False)) == 1
        assert await store.claim(claim_events, claim(), with_asset=False) == []

    async def test_parallel_claims_share_the_work(self, store: Store) -> None:
        """Claims at the same time never overlap, and together get everything."""
        await asyncio.gather(*(store.record(an_event(f"gen_{number}")) for number in range(100)))
        batches = await asyncio.gather(
            *(store.claim(claim_events, claim(10), with_asset=False) for _ in range(20))
        )
        ids = [job.id for batch in batches for job in batch]
        rest = await store.claim(claim_events, claim(), with_asset=False)
        assert len(ids) == len(set(ids))
        assert len(ids) + len(rest) == 100

    async def test_lease_runs_out(self, store: Store) -> None:
        """The work of a dead worker is due again when its lease runs out, and the attempt was counted."""
        await store.record(an_event())
        first = await claimed_event(store)
        assert await store.claim(claim_events, claim(at=NOW + LEASE_MS - 1), with_asset=False) == []
        again = await claimed_event(store, at=NOW + LEASE_MS)
        assert (first.attempts, again.attempts) == (1, 2)

    async def test_with_and_without_asset(self, store: Store) -> None:
        """Events with a host to fetch from are claimed apart from those without."""
        await store.record(an_event("gen_a", host="cdn.example.com"))
        await store.record(an_event("gen_b"))
        (with_asset,) = await store.claim(claim_events, claim(), with_asset=True)
        (without,) = await store.claim(claim_events, claim(), with_asset=False)
        assert (with_asset.generation_id, without.generation_id) == ("gen_a", "gen_b")

    async def test_spares_busy_hosts(self, store: Store) -> None:
        """Events of a host that is busy are left for later, whatever their age."""
        await store.record(an_event("gen_a", host="slow.example.com"))
        await store.record(an_event("gen_b", host="fast.example.com"))
        (job,) = await store.claim(claim_events, claim(), with_asset=True, except_hosts=["slow.example.com"])
        assert job.generation_id == "gen_b"

    @pytest.mark.parametrize(
        ("sources", "expected"),
        [
            (Sources(), {"acme", "other", "photoverse"}),
            (Sources(only="acme"), {"acme"}),
            (Sources(without=("acme", "other")), {"photoverse"}),
        ],
    )
    async def test_of_some_sources(self, store: Store, sources: Sources, expected: set[str]) -> None:
        """Only events of the sources asked for are taken, whatever the others' age."""
        for source in ("acme", "other", "photoverse"):
            await store.record(an_event(host="cdn.example.com")._replace(source=source))
        jobs = await store.claim(claim_events, claim(), with_asset=True, sources=sources)
        assert {job.source for job in jobs} == expected
        assert {source for source in ("acme", "other", "photoverse") if source in sources} == expected

    async def test_renewed_lease_holds(self, store: Store) -> None:
        """A renewed lease runs out at its new end."""
        await store.record(an_event())
        job = await claimed_event(store)
        await store.transact_promptly(renew, [job.lease], until_ms=NOW + 2 * LEASE_MS)
        assert await store.claim(claim_events, claim(at=NOW + LEASE_MS), with_asset=False) == []

    async def test_released_work_is_due_at_once(self, store: Store) -> None:
        """Work given back is due at once and cost no attempt."""
        await store.record(an_event())
        job = await claimed_event(store)
        await store.transact_promptly(release, [job.lease], now_ms=NOW)
        assert (await claimed_event(store)).attempts == 1


class TestSettleEvents:
    async def test_settled_event_is_due_at_every_destination(self, store: Store) -> None:
        """Settling keeps the asset's fate and makes one delivery per destination, in one transaction."""
        asset = Asset(
            "mirrored",
            "s3://b/k.png",
            "image/png",
            2**40,
            "0" * 64,
            width=2**31 - 1,
            height=1,
            duration_s=5.042,
        )
        job = await settled_event(store, asset)
        for destination in ("orders", "audit"):
            delivery = await claimed_delivery(store, destination)
            assert (delivery.event_id, delivery.asset, delivery.body) == (job.id, asset, job.body)

    async def test_event_without_asset(self, store: Store) -> None:
        """An event without an asset is delivered without one."""
        await settled_event(store, None)
        assert (await claimed_delivery(store)).asset is None

    async def test_lost_lease_writes_nothing(self, store: Store) -> None:
        """A worker that lost its lease settles nothing; the one that has it does."""
        await store.record(an_event())
        slow = await claimed_event(store)
        quick = await claimed_event(store, at=NOW + LEASE_MS)
        assert not await store.settle(EventSettled(slow, Asset("failed", error="timeout"), NOW))
        assert not await store.settle(EventPostponed(slow, NOW, "timeout"))
        assert await store.settle(EventSettled(quick, None, NOW))
        with store.engine.begin() as connection:
            assert connection.execute(select(ASSET)).all() == []

    async def test_settling_twice_makes_no_second_delivery(self, store: Store) -> None:
        """A settlement repeated after its commit changes nothing."""
        job = await settled_event(store)
        assert not await store.settle(EventSettled(job, None, NOW))
        with store.engine.begin() as connection:
            assert len(connection.execute(select(DELIVERY)).all()) == 2

    async def test_postponed_event_waits(self, store: Store) -> None:
        """A postponed event is due at its time, not before, and carries the reason."""
        await store.record(an_event())
        job = await claimed_event(store)
        assert await store.settle(EventPostponed(job, NOW + 500, "http_503"))
        assert await store.claim(claim_events, claim(at=NOW + 499), with_asset=False) == []
        assert (await claimed_event(store, at=NOW + 500)).attempts == 2


class TestAwaitingAsset:
    async def test_only_pending_events(self, store: Store) -> None:
        """Of many ids, those of events that are not settled yet; an event that is put off still waits."""
        settled = await settled_event(store, None)
        await store.record(waiting := an_event("gen_2"))
        others = [f"no-such-event-{number}" for number in range(1200)]
        assert await store.transact_promptly(awaiting_asset, [*others, settled.id, waiting.id]) == {
            waiting.id
        }
        job = await claimed_event(store)
        await store.settle(EventPostponed(job, NOW + 1, "timeout"))
        assert await store.transact_promptly(awaiting_asset, [waiting.id]) == {waiting.id}
        assert (await claimed_event(store, at=NOW + 1)).last_error == "timeout"
        assert await store.transact_promptly(awaiting_asset, []) == set()


class TestSettleDeliveries:
    async def test_confirmed_is_done(self, store: Store) -> None:
        """A confirmed delivery is never claimed again; the other destination's still is."""
        await settled_event(store)
        job = await claimed_delivery(store)
        assert await store.settle(DeliveryConfirmed(job, NOW))
        assert await store.claim(claim_deliveries, claim(at=NOW + 10 * LEASE_MS), destination="orders") == []
        assert (await claimed_delivery(store, "audit")).destination == "audit"

    async def test_postponed_waits(self, store: Store) -> None:
        """A postponed delivery is due at its time, with its attempts counted."""
        await settled_event(store)
        job = await claimed_delivery(store)
        assert await store.settle(DeliveryPostponed(job, NOW + 500, "connection refused"))
        assert await store.claim(claim_deliveries, claim(at=NOW + 499), destination="orders") == []
        assert (await claimed_delivery(store, at=NOW + 500)).attempts == 2

    async def test_dead_letter_is_kept(self, store: Store) -> None:
        """A dead letter is never claimed again, and says why."""
        await settled_event(store)
        job = await claimed_delivery(store)
        assert await store.settle(DeliveryDead(job, NOW, "http_422"))
        assert await store.claim(claim_deliveries, claim(at=NOW + 10 * LEASE_MS), destination="orders") == []
        with store.engine.begin() as connection:
            row = connection.execute(select(DELIVERY).where(DELIVERY.c.destination == "orders")).one()
        assert (row.state, row.last_error, row.settled_ms) == ("dead", "http_422", NOW)

    async def test_many_kinds_in_one_batch(self, store: Store) -> None:
        """Settlements that share a transaction are each answered for themselves."""
        await asyncio.gather(*(store.record(an_event(f"gen_{number}")) for number in range(4)))
        events = await store.claim(claim_events, claim(), with_asset=False)
        await asyncio.gather(*(store.settle(EventSettled(job, None, NOW)) for job in events))
        one, two, three, four = await store.claim(claim_deliveries, claim(), destination="orders")
        await store.transact_promptly(release, [four.lease], now_ms=NOW)
        held = await asyncio.gather(
            store.settle(DeliveryConfirmed(one, NOW)),
            store.settle(DeliveryPostponed(two, NOW, "busy")),
            store.settle(DeliveryDead(three, NOW, "no")),
        )
        assert list(held) == [False, False, False]

    async def test_lost_lease_writes_nothing(self, store: Store) -> None:
        """A late confirmation after the lease was lost does not close another worker's attempt."""
        await settled_event(store)
        slow = await claimed_delivery(store)
        quick = await claimed_delivery(store, at=NOW + LEASE_MS)
        assert not await store.settle(DeliveryConfirmed(slow, NOW))
        assert not await store.settle(DeliveryDead(slow, NOW, "no"))
        assert await store.settle(DeliveryConfirmed(quick, NOW))


class TestWake:
    @pytest.mark.parametrize(
        ("host", "topic", "other"), [("cdn.example.com", MIRROR, SETTLE), (None, SETTLE, MIRROR)]
    )
    async def test_recording_wakes_who_goes_on(
        self, store: Store, host: str | None, topic: str, other: str
    ) -> None:
        """A recorded event wakes who waits for its kind and nobody else; a duplicate wakes nobody."""
        woken, not_woken = store.wake.subscribe(topic), store.wake.subscribe(other)
        await store.record(an_event(host=host))
        assert woken.is_set()
        assert not not_woken.is_set()
        woken.clear()
        await store.record(an_event(host=host))
        assert not woken.is_set()

    async def test_wakes_other_machines(self, migrated_postgres_database: str) -> None:
        """Whoever listens there hears of what was committed here."""
        url = migrated_postgres_database
        with closing(Store(url, destinations=("orders",))) as ours, closing(Store(url)) as theirs:
            woken, forwards = theirs.wake.subscribe(MIRROR), theirs.wake.subscribe(FORWARD)
            listening = asyncio.create_task(theirs.listen())
            async with asyncio.timeout(60):
                await woken.wait()  # as it begins to listen
                forwards.clear()
                await settled_event(ours)
                await forwards.wait()
                woken.clear()
                await ours.record(an_event("gen_2", host="cdn.example.com"))
                await woken.wait()
            listening.cancel()

    async def test_settling_wakes_the_forwarders(self, store: Store) -> None:
        """A settled event wakes who waits for deliveries."""
        woken = store.wake.subscribe("forward")
        await settled_event(store)
        assert woken.is_set()


class TestMigrate:
    async def test_twice_is_a_no_op(self, store: Store) -> None:
        """Migrating a database that is up to date changes nothing."""
        assert store.migrate() == (revisions()[0], revisions()[0])

    async def test_tables_match_the_models(self, store: Store) -> None:
        """The migrations build exactly what the models declare."""
        from alembic.autogenerate import compare_metadata  # noqa: PLC0415
        from alembic.migration import MigrationContext  # noqa: PLC0415

        from receiver.store.tables import METADATA  # noqa: PLC0415

        with store.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, METADATA) == []


class TestCheck:
    async def test_ready(self, store: Store) -> None:
        """A migrated, writable store is ready."""
        await store.check()

    async def test_deliveries_are_recorded(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is being committed shows that something can be: nothing is written just to see it."""

        async def committed(_committer: object) -> bool:
            return True

        monkeypatch.setattr(Committer, "next_commit", committed)
        monkeypatch.setattr("receiver.store.prove", None)
        await store.check()

    async def test_not_migrated(self, store: Store) -> None:
        """A database without our schema is refused, with the command that helps."""
        with store.engine.begin() as connection:
            connection.execute(text("DELETE FROM alembic_version"))
        with pytest.raises(StoreUnavailable, match="receiver migrate"):
            await store.check()

    async def test_newer_schema_is_ready(self, store: Store) -> None:
        """During a rolling deployment the old release accepts the schema of the new one."""
        with store.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await store.check()


class TestQueryPlan:
    @pytest.mark.parametrize(
        ("with_asset", "index"), [(True, "ix_event_due"), (False, "ix_event_due_without_asset")]
    )
    @pytest.mark.parametrize("sources", [Sources(), Sources(only="acme"), Sources(without=("acme", "other"))])
    async def test_claims_of_events_read_what_is_due(
        self, store: Store, with_asset: bool, index: str, sources: Sources
    ) -> None:
        """Events with assets and those without are found apart: a backlog of the ones is not in the way."""
        await leave_waiting(store)
        spared = ["slow.example.com"] if with_asset else []
        with plans(store) as seen:
            await store.claim(
                claim_events, claim(), with_asset=with_asset, sources=sources, except_hosts=spared
            )
            for downloaded in (True, False) if with_asset else ():
                away = Away(["gone.example.com"], NOW, downloaded)
                await store.claim(
                    claim_events, claim(), with_asset=True, sources=sources, spool="ours", away=away
                )
        assert reads(seen["SELECT event"], index)

    async def test_claims_of_deliveries_read_what_is_due(self, store: Store) -> None:
        """Finding due work reads the partial index, however many rows are done."""
        await leave_waiting(store)
        with plans(store) as seen:
            await store.claim(claim_deliveries, claim(), destination="orders")
        assert reads(seen["SELECT delivery"], "ix_delivery_due")

    @pytest.mark.parametrize("table", ["event", "delivery"])
    async def test_leases_are_found_by_name(self, store: Store, table: str) -> None:
        """What is renewed or given back is found beside any backlog of what is not held."""
        await leave_waiting(store)
        with plans(store) as renewed:
            await store.transact_promptly(renew, ["a lease"], until_ms=NOW)
        with plans(store) as released:
            await store.transact_promptly(release, ["a lease"], now_ms=NOW)
        assert reads(renewed[f"UPDATE {table}"], f"ix_{table}_lease")
        assert reads(released[f"UPDATE {table}"], f"ix_{table}_lease")

    async def test_rows_are_found_by_their_keys(self, store: Store) -> None:
        """What becomes of several rows at once costs the same, however many there are beside them."""
        await leave_waiting(store)
        again = [an_event(f"gen_{number}") for number in range(3)]
        failed = [an_event(f"gen_{number}", FAILED) for number in range(3)]
        with plans(store) as seen:
            await asyncio.gather(*map(store.record, (*again, *failed)))
            events = await store.claim(claim_events, claim(3), with_asset=False)
            await asyncio.gather(*(store.settle(EventSettled(job, None, NOW)) for job in events))
            sent = await store.claim(claim_deliveries, claim(3), destination="orders")
            await asyncio.gather(*(store.settle(DeliveryConfirmed(job, NOW)) for job in sent))
        assert {"SELECT event", "UPDATE event", "SELECT delivery", "UPDATE delivery"} <= set(seen)
        assert not [plan for plan in seen.values() if reads_all(plan)]


async def leave_waiting(store: Store) -> None:
    """Leave more events and deliveries waiting than a planner would read one by one."""
    await asyncio.gather(*(store.record(an_event(f"gen_{number}")) for number in range(400)))
    jobs = await store.claim(claim_events, claim(200), with_asset=False)
    await asyncio.gather(*(store.settle(EventSettled(job, None, NOW)) for job in jobs))
    hosted = (an_event(f"gen_hosted_{number}", host="slow.example.com") for number in range(200))
    await asyncio.gather(*map(store.record, hosted))
    if not store.is_embedded:
        with store.engine.begin() as connection:
            connection.execute(text("ANALYZE"))


@contextmanager
def plans(store: Store) -> Iterator[dict[str, str]]:
    """Collect how the statements of the block are carried out, by their first two words."""
    statements: list[tuple[str, Any]] = []

    def note(*call: Any) -> None:
        is_many = call[5]
        statements.append((call[2], call[3][0] if is_many else call[3]))

    found: dict[str, str] = {}
    listen(store.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        remove(store.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if store.is_embedded else "EXPLAIN "
    with store.engine.begin() as connection:
        if not store.is_embedded:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in statements:
            if statement.startswith(("SELECT", "UPDATE", "WITH")) and "pg_notify" not in statement:
                plan = connection.exec_driver_sql(explain + statement, parameters).all()
                text_ = statement.replace("OR FAIL ", "")
                name = "".join(re.findall(r"^(?:WITH wanted .*\) )?((?:SELECT|UPDATE) \w+)", text_)[:1])
                found[name] = found.get(name, "") + str(plan)


def reads(plan: str, index: str) -> bool:
    """Whether *plan* reads this very index, and no queue from end to end."""
    return re.search(rf"\b{index}\b", plan) is not None and not reads_all(plan)


def reads_all(plan: str) -> bool:
    """Whether *plan* reads all rows of a table that only grows."""
    return re.search(r"(Seq Scan on|SCAN) (event|delivery|submission)", plan) is not None
