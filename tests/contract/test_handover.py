"""Work that is handed over by the transaction that made it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Executable, select, text
from sqlalchemy import event as sqlalchemy_event

from receiver import clock
from receiver.contract import FAILED
from receiver.errors import StoreUnavailable
from receiver.events import Asset
from receiver.store import Store
from receiver.store.claim import claim_deliveries, claim_events
from receiver.store.destinations import pause
from receiver.store.jobs import DeliveryJob, EventJob, Hold, Keeper
from receiver.store.record import Duplicate, NewEvent, Recorded
from receiver.store.settlements import DeliveryConfirmed, EventSettled
from receiver.store.tables import DELIVERY, EVENT
from receiver.store.wake import FORWARD
from tests.acceptance.service import completed, failed
from tests.contract.test_store import LEASE_MS, NOW, an_event, claim, store
from tests.stored import migrated

__all__ = ["store"]


@dataclass
class Taker:
    """Has room for so many events or deliveries."""

    room: int = 1
    taken: list[EventJob] = field(default_factory=list)

    def reserve(self, asset_host: str) -> Hold | None:
        if not self.room:
            return None
        assert asset_host == "cdn.example.com"
        self.room -= 1
        return Hold(f"event-lease-{self.room}", NOW + LEASE_MS, "ours")

    def take(self, job: EventJob) -> None:
        self.taken.append(job)

    def free(self, asset_host: str) -> None:
        assert asset_host
        self.room += 1


@dataclass
class Outbox:
    """Has room for so many deliveries."""

    room: int = 1
    taken: list[DeliveryJob] = field(default_factory=list)

    def reserve(self) -> Hold | None:
        if not self.room:
            return None
        self.room -= 1
        return Hold(f"delivery-lease-{self.room}", NOW + LEASE_MS)

    def take(self, job: DeliveryJob) -> None:
        self.taken.append(job)

    def free(self) -> None:
        self.room += 1


class TestEvents:
    async def test_are_begun_as_they_are_recorded(self, store: Store) -> None:
        """Nobody else finds the event before its lease ends, and its first attempt is counted."""
        taker = Taker()
        new = an_event(host="cdn.example.com")
        with store.handover.of_events(taker):
            assert await store.record(new) == Recorded(new.id)
        (job,) = taker.taken
        assert (job.id, job.body, job.attempts) == (new.id, new.body, 1)
        assert await store.claim(claim_events, claim(), with_asset=True) == []
        (again,) = await store.claim(claim_events, claim(at=NOW + LEASE_MS), with_asset=True)
        assert (again.id, again.attempts, again.kept_by) == (new.id, 2, Keeper("ours", None))
        assert not await store.settle(EventSettled(job, None, NOW)), "the lease is another's by now"

    async def test_a_repeat_is_nobodys(self, store: Store) -> None:
        """Its place is given up."""
        taker = Taker(room=2)
        with store.handover.of_events(taker):
            first, second = (an_event(host="cdn.example.com") for _ in range(2))
            await store.record(first)
            assert await store.record(second) == Duplicate(first.id)
        assert len(taker.taken) == 1
        assert taker.room == 1

    async def test_without_room_they_wait(self, store: Store) -> None:
        """What nobody has room for is claimed, as ever."""
        with store.handover.of_events(Taker(room=0)):
            await store.record(an_event(host="cdn.example.com"))
        assert len(await store.claim(claim_events, claim(), with_asset=True)) == 1

    async def test_a_failing_store(self, store: Store) -> None:
        """Nothing was recorded, so nothing is handed over."""
        taker = Taker()
        await store.transact(execute, text("ALTER TABLE event RENAME TO away"))
        with store.handover.of_events(taker), pytest.raises(StoreUnavailable):
            await store.record(an_event(host="cdn.example.com"))
        assert (taker.room, taker.taken) == (1, [])


class TestDeliveries:
    async def test_are_begun_as_they_are_made(self, store: Store) -> None:
        """Whoever settles the event hands its deliveries over, with all that their messages are made of."""
        outbox = Outbox()
        job = await settled_under(store, outbox)
        (delivery,) = outbox.taken
        assert (delivery.event_id, delivery.destination, delivery.attempts) == (job.id, "orders", 1)
        assert delivery.asset == Asset("failed", error="gone")
        assert await store.claim(claim_deliveries, claim(), destination="orders") == []
        assert len(await store.claim(claim_deliveries, claim(), destination="audit")) == 1
        assert await store.settle(DeliveryConfirmed(delivery, NOW))

    async def test_a_lease_that_ended(self, store: Store) -> None:
        """Whoever took a delivery and died leaves it to others, who see that an attempt was begun."""
        await settled_under(store, Outbox())
        (again,) = await store.claim(claim_deliveries, claim(at=NOW + LEASE_MS), destination="orders")
        assert again.attempts == 2

    async def test_of_a_paused_destination_wait(self, store: Store) -> None:
        """Pausing holds for what is made afterwards, too."""
        await store.transact_promptly(pause, "orders", reason=None, now_ms=NOW)
        outbox = Outbox()
        await settled_under(store, outbox)
        assert (outbox.room, outbox.taken) == (1, [])
        await store.resume("orders")
        assert len(await store.claim(claim_deliveries, claim(), destination="orders")) == 1

    async def test_those_that_are_there_are_left_alone(self, store: Store) -> None:
        """A delivery that was made before is whose it was."""
        await store.record(new := an_event(host="cdn.example.com"))
        row = {"event_id": new.id, "destination": "orders", "state": "pending", "due_ms": NOW, "attempts": 0}
        row["undecided"] = False
        await store.transact(execute, DELIVERY.insert().values(row))
        outbox = Outbox()
        await settle(store, outbox)
        assert outbox.taken == []
        assert len(await store.claim(claim_deliveries, claim(), destination="orders")) == 1

    async def test_a_failing_store(self, store: Store) -> None:
        """Nothing was settled, so nothing is handed over."""
        outbox = Outbox()
        await store.record(an_event(host="cdn.example.com"))
        (job,) = await store.claim(claim_events, claim(), with_asset=True)
        await store.transact(execute, text("ALTER TABLE delivery RENAME TO away"))
        with store.handover.of_deliveries("orders", outbox), pytest.raises(StoreUnavailable):
            await store.settle(EventSettled(job, Asset("failed", error="gone"), NOW))
        assert (outbox.room, outbox.taken) == (1, [])


class TestDue:
    async def test_is_settled_by_the_transaction_that_finds_it(self, store: Store) -> None:
        """Found and settled, with its deliveries begun, in one transaction; confirmed in another."""
        await store.record(new := without_asset())
        transactions, outbox, audit = count_transactions(store), Outbox(), Outbox()
        with store.handover.of_deliveries("orders", outbox), store.handover.of_deliveries("audit", audit):
            due = await store.settle_due(claim(at=NOW + 1))
        assert [job.id for job in due.settled] == [new.id]
        (delivery,) = outbox.taken
        assert delivery.event_id == new.id
        await store.settle(DeliveryConfirmed(delivery, NOW))
        assert len(audit.taken) == 1
        assert len(transactions) == 2
        assert (await store.settle_due(claim())).settled == []
        settled_ms = await store.transact(
            lambda connection: connection.execute(select(EVENT.c.due_ms)).scalar()
        )
        assert settled_ms == NOW + 1, "it is kept from then on"

    async def test_what_an_asset_is_expected_of(self, store: Store) -> None:
        """Its URL may be no URL: then it is claimed, for the mirror to say so."""
        await store.record(new := an_event()._replace(body=completed("gen_1", None)))
        due = await store.settle_due(claim(lease="ours"))
        assert due.settled == []
        assert [(job.id, job.lease, job.attempts) for job in due.claimed] == [(new.id, "ours", 1)]
        assert await store.settle(EventSettled(due.claimed[0], None, NOW))

    async def test_places_are_kept_for_as_many_as_there_is_room_for(self, store: Store) -> None:
        """The rest waits to be claimed, and no place is left."""
        for number in range(3):
            await store.record(without_asset(f"gen_{number}"))
        outbox = Outbox(room=2)
        with store.handover.of_deliveries("orders", outbox):
            await store.settle_due(claim())
        assert (len(outbox.taken), outbox.room) == (2, 0)
        assert len(await store.claim(claim_deliveries, claim(), destination="orders")) == 1

    async def test_of_many_at_once_each_is_one_workers(self, store: Store) -> None:
        """However many look at the same time."""
        for number in range(20):
            await store.record(without_asset(f"gen_{number}"))
        found = await asyncio.gather(*(store.settle_due(claim(5)) for _ in range(8)))
        rest = await store.settle_due(claim())
        ids = [job.id for due in [*found, rest] for job in due.settled]
        assert len(ids) == len(set(ids)) == 20

    async def test_a_failing_store(self, store: Store) -> None:
        """Nothing was settled, so nothing is handed over."""
        outbox = Outbox()
        await store.transact(execute, text("ALTER TABLE delivery RENAME TO away"))
        await store.record(without_asset())
        with store.handover.of_deliveries("orders", outbox), pytest.raises(StoreUnavailable):
            await store.settle_due(claim())
        assert (outbox.room, outbox.taken) == (1, [])

    async def test_a_failing_store_at_the_end_of_an_asset(self, store: Store) -> None:
        """So it is where a worker settles the event."""
        await store.record(an_event())
        (job,) = await store.claim(claim_events, claim(), with_asset=False)
        outbox = Outbox()
        await store.transact(execute, text("ALTER TABLE delivery RENAME TO away"))
        with store.handover.of_deliveries("orders", outbox), pytest.raises(StoreUnavailable):
            await store.settle(EventSettled(job, None, NOW))
        assert (outbox.room, outbox.taken) == (1, [])


class TestAtOnce:
    async def test_an_event_without_an_asset(self, embedded: Store) -> None:
        """On SQLite it is settled as it is recorded: two transactions bring it to its queue."""
        transactions = count_transactions(embedded)
        outbox, new = Outbox(), without_asset()
        with embedded.handover.of_deliveries("orders", outbox):
            await embedded.record(new)
        (delivery,) = outbox.taken
        assert delivery.event_id == new.id
        await embedded.settle(DeliveryConfirmed(delivery, NOW))
        assert len(transactions) == 2
        assert len(await embedded.claim(claim_deliveries, claim(), destination="audit")) == 1

    async def test_what_has_an_asset_is_not(self, embedded: Store) -> None:
        """Three transactions: recorded, settled, confirmed."""
        transactions = count_transactions(embedded)
        taker, outbox = Taker(), Outbox()
        with embedded.handover.of_events(taker), embedded.handover.of_deliveries("orders", outbox):
            await embedded.record(an_event(host="cdn.example.com"))
            await embedded.settle(EventSettled(taker.taken[0], None, NOW))
            await embedded.settle(DeliveryConfirmed(outbox.taken[0], NOW))
        assert len(transactions) == 3

    async def test_all_of_it_is_handed_over(self, embedded: Store) -> None:
        """Nothing is left for anybody to claim, and nobody is woken."""
        orders, audit = Outbox(), Outbox()
        woken = embedded.wake.subscribe(FORWARD)
        with (
            embedded.handover.of_deliveries("orders", orders),
            embedded.handover.of_deliveries("audit", audit),
        ):
            await embedded.record(without_asset())
        assert (len(orders.taken), len(audit.taken), woken.is_set()) == (1, 1, False)

    async def test_a_repeat_makes_nothing(self, embedded: Store) -> None:
        """Of fifty copies at once, one is delivered."""
        outbox = Outbox(room=100)
        with embedded.handover.of_deliveries("orders", outbox):
            await asyncio.gather(*(embedded.record(without_asset()) for _ in range(50)))
        assert (len(outbox.taken), outbox.room) == (1, 99)

    async def test_a_failing_store(self, embedded: Store) -> None:
        """Nothing was recorded, so nothing is handed over."""
        outbox = Outbox()
        await embedded.transact(execute, text("ALTER TABLE delivery RENAME TO away"))
        with embedded.handover.of_deliveries("orders", outbox), pytest.raises(StoreUnavailable):
            await embedded.record(without_asset())
        assert (outbox.room, outbox.taken) == (1, [])

    async def test_on_postgres_it_waits(self, migrated_postgres_database: str) -> None:
        """There the look for its submission may wait for another's lock, which no delivery may."""
        opened = Store(migrated_postgres_database, destinations=("orders",), settles_at_once=True)
        await opened.record(without_asset())
        assert len(await opened.claim(claim_events, claim(), with_asset=False)) == 1
        opened.close()


class TestUnanswered:
    """What was committed although nobody was told is given back, and does not wait until its lease ends."""

    @pytest.fixture(autouse=True)
    def at_that_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clock, "now_ms", lambda: NOW)

    async def test_event(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that a worker was to take over."""
        taker = Taker()
        with store.handover.of_events(taker), unanswered(store, monkeypatch):
            await store.record(an_event(host="cdn.example.com"))
        assert (taker.room, taker.taken) == (1, [])
        assert await store.claim(claim_events, claim(), with_asset=True) == []
        await store.free_doubtful(pause_s=0)
        (job,) = await store.claim(claim_events, claim(), with_asset=True)
        assert job.attempts == 1

    async def test_claim(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a worker claimed."""
        await store.record(an_event())
        with unanswered(store, monkeypatch):
            await store.claim(claim_events, claim(), with_asset=False)
        await store.free_doubtful(pause_s=0)
        assert len(await store.claim(claim_events, claim(), with_asset=False)) == 1

    async def test_deliveries(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those of an event whose asset was settled."""
        await store.record(an_event())
        (job,) = await store.claim(claim_events, claim(), with_asset=False)
        with store.handover.of_deliveries("orders", Outbox()), unanswered(store, monkeypatch):
            await store.settle(EventSettled(job, None, NOW))
        await self.freed(store)

    async def test_due(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those of an event that had none, and an event that was only claimed."""
        await store.record(without_asset())
        await store.record(an_event("gen_unreadable"))
        with store.handover.of_deliveries("orders", Outbox()), unanswered(store, monkeypatch):
            await store.settle_due(claim())
        await self.freed(store)
        assert len(await store.claim(claim_events, claim(), with_asset=False)) == 1

    async def test_at_once(self, embedded: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those of an event that was settled as it was recorded."""
        with embedded.handover.of_deliveries("orders", Outbox()), unanswered(embedded, monkeypatch):
            await embedded.record(without_asset())
        await self.freed(embedded)

    async def freed(self, store: Store) -> None:
        """See a delivery become due."""
        assert await store.claim(claim_deliveries, claim(), destination="orders") == []
        await store.free_doubtful(pause_s=0)
        assert len(await store.claim(claim_deliveries, claim(), destination="orders")) == 1


@contextmanager
def unanswered(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lose the answers to what is committed within the block, which ends with such a call."""

    async def lose(call: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> None:
        await call(*args, **kwargs)
        raise StoreUnavailable("no answer within 7 s")

    with monkeypatch.context() as patched:
        for owner, name in (
            (store._records, "submit"),
            (store._settlements, "submit"),
            (store, "transact_promptly"),
        ):
            patched.setattr(owner, name, partial(lose, getattr(owner, name)))
        with pytest.raises(StoreUnavailable):
            yield


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Store]:
    url = migrated(tmp_path / "receiver.db")
    opened = Store(url, destinations=("orders", "audit"), settles_at_once=True)
    yield opened
    opened.close()


def without_asset(generation_id: str = "gen_1") -> NewEvent:
    return an_event(generation_id, FAILED)._replace(body=failed(generation_id), expects_asset=False)


def execute(connection: Connection, statement: Executable) -> None:
    connection.execute(statement)


def count_transactions(store: Store) -> list[int]:
    """Return a list that grows by one with each transaction but those that only wake others."""
    seen: list[int] = []

    def note(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        connection.info.setdefault("said", []).append(statement)

    def count(connection: Connection) -> None:
        if not all("pg_notify" in statement for statement in connection.info.pop("said", [])):
            seen.append(1)

    sqlalchemy_event.listen(store.engine, "before_cursor_execute", note)
    sqlalchemy_event.listen(store.engine, "commit", count)
    return seen


async def settled_under(store: Store, outbox: Outbox) -> NewEvent:
    """Record an event and settle it, with room for its delivery to `orders`."""
    await store.record(new := an_event(host="cdn.example.com"))
    await settle(store, outbox)
    return new


async def settle(store: Store, outbox: Outbox) -> None:
    (job,) = await store.claim(claim_events, claim(), with_asset=True)
    with store.handover.of_deliveries("orders", outbox):
        assert await store.settle(EventSettled(job, Asset("failed", error="gone"), NOW))
