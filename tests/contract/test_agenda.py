"""What is due, told alike by SQLite and PostgreSQL, without taking anything."""

from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import InternalError

from receiver.clock import now_ms
from receiver.store import Store
from receiver.store.agenda import LATE_ASSETS, WITH_ASSET, WITHOUT_ASSET, Agenda, deliveries_to
from receiver.store.claim import Claim, claim_deliveries
from receiver.store.destinations import pause
from receiver.store.settlements import DeliveryPostponed
from receiver.store.tables import ASSET, DELIVERY, EVENT, LATE_ASSET
from tests.contract.test_store import an_event, leave_waiting, plans, reads_all, settled_event

NAMES = ("orders", "audit")
AGENDA = Agenda(NAMES)
TO_BOTH = [deliveries_to(name) for name in NAMES]


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=NAMES)
    yield opened
    opened.close()


def write(store: Store, *statements: object) -> None:
    with store.engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


async def due(store: Store) -> list[str]:
    return await store.look(AGENDA.due, now_ms=now_ms())


class TestAgenda:
    async def test_names_what_is_due(self, store: Store) -> None:
        """Each kind of event by itself, and deliveries by their destination."""
        assert await due(store) == []
        await store.record(an_event())
        assert await due(store) == [WITHOUT_ASSET]
        await store.record(an_event("gen_2", host="cdn.example.com"))
        assert await due(store) == [WITH_ASSET, WITHOUT_ASSET]
        write(store, delete(EVENT))
        await settled_event(store)
        assert await due(store) == TO_BOTH

    async def test_late_assets(self, store: Store) -> None:
        """An asset that is still tried for is due at its time."""
        job = await settled_event(store)
        write(store, delete(DELIVERY), delete(ASSET))
        late = {"event_id": job.id, "until_ms": 0, "attempts": 0}
        write(store, LATE_ASSET.insert().values(due_ms=now_ms() + 60_000, **late))
        assert await due(store) == []
        write(store, update(LATE_ASSET).values(due_ms=now_ms()))
        assert await due(store) == [LATE_ASSETS]

    async def test_what_is_held_or_put_off_is_not_due(self, store: Store) -> None:
        """Work under a lease is due when that runs out, a retry at its time."""
        await settled_event(store)
        now = now_ms()
        ours = Claim(now, now + 60_000, "ours", 1)
        (job,) = await store.claim(claim_deliveries, ours, destination="orders")
        assert await due(store) == [deliveries_to("audit")]
        await store.settle(DeliveryPostponed(job, now + 60_000, "timeout"))
        assert await due(store) == [deliveries_to("audit")]
        write(store, update(DELIVERY).values(due_ms=now))
        assert await due(store) == TO_BOTH

    async def test_backfilled_is_due(self, store: Store) -> None:
        """What waits behind all others, with a time before the epoch, is due as well."""
        await settled_event(store)
        write(store, update(DELIVERY).values(due_ms=-now_ms()))
        assert await due(store) == TO_BOTH

    async def test_paused(self, store: Store) -> None:
        """Nothing is due for a destination while it is paused: a claim would find nothing."""
        await settled_event(store)
        await store.transact(pause, "orders", reason=None, now_ms=now_ms())
        assert await due(store) == [deliveries_to("audit")]
        await store.resume("orders")
        assert await due(store) == TO_BOTH

    async def test_waits_for_nobody_who_writes(self, store: Store) -> None:
        """A transaction that has a lock, as another process may for long, is not in its way."""
        await store.record(an_event())
        with store.engine.begin() as connection:
            connection.execute(update(EVENT).values(repeats=1))
            assert await due(store) == [WITHOUT_ASSET]

    async def test_reads_no_queue_to_its_end(self, store: Store) -> None:
        """One row of an index for each queue, however much waits, paused or not."""
        await leave_waiting(store)
        await store.transact(pause, "orders", reason=None, now_ms=now_ms())
        with plans(store) as seen:
            await due(store)
        plan = "".join(seen.values())
        for index in ("ix_event_due", "ix_event_due_without_asset", "ix_delivery_due"):
            assert index in plan
        assert not reads_all(plan)

    async def test_a_server_that_takes_no_writes(self, migrated_postgres_database: str) -> None:
        """It refuses the look as it would a claim: the work is on the server that took over."""
        with closing(Store(migrated_postgres_database)) as store, store.engine.connect() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            with pytest.raises(InternalError, match="read-only"):
                AGENDA.due(connection, now_ms=now_ms())
