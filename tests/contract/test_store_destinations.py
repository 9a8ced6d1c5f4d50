"""Destinations in the store: paused or not, how far behind. Kept alike by SQLite and PostgreSQL."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.event import listen, remove

from receiver.events import event_id
from receiver.store import Store, backlog
from receiver.store.backlog import Waiting
from receiver.store.claim import claim_deliveries, claim_events
from receiver.store.destinations import (
    DestinationStatus,
    destination_statuses,
    known_destinations,
    note_breaker,
    pause,
)
from receiver.store.filters import known_sources
from receiver.store.record import NewEvent
from receiver.store.settlements import DeliveryConfirmed, DeliveryDead, DeliveryPostponed, EventSettled
from receiver.store.tables import DELIVERY
from tests import stored
from tests.contract import test_store
from tests.contract.test_store import NOW, claim, claimed_delivery

store = test_store.store


async def events(store: Store, *received_ms: int) -> None:
    """Record and settle an event for each time: one delivery each for `orders` and `audit`."""
    for number, at in enumerate(received_ms):
        new_id = event_id(at, bytes(10))
        name = f"gen_{at}_{number}"
        await store.record(NewEvent(new_id, "photoverse", name, "completed", None, b"{}", "webhook", at))
    for job in await store.claim(claim_events, claim(), with_asset=False):
        await store.settle(EventSettled(job, None, NOW))


async def statuses(store: Store) -> list[DestinationStatus]:
    names = await store.transact(known_destinations, store.destinations)
    return await store.transact(destination_statuses, names)


async def status(store: Store, name: str = "orders") -> DestinationStatus:
    (found,) = await store.transact(destination_statuses, [name])
    return found


class TestParked:
    async def test_the_attempt_is_given_back(self, store: Store) -> None:
        """However often a parked delivery is tried, it stays at its first attempt, and says why it waits."""
        await events(store, NOW)
        for _ in range(5):
            job = await claimed_delivery(store)
            assert job.attempts == 1
            assert await store.settle(DeliveryPostponed(job, NOW, "down", parked=True))
        with store.engine.begin() as connection:
            row = connection.execute(select(DELIVERY).where(DELIVERY.c.destination == "orders")).one()
        assert (row.state, row.attempts, row.last_error, row.lease) == ("pending", 0, "down", None)

    async def test_another_failure_counts(self, store: Store) -> None:
        """Beside a parked one in the same transaction."""
        await events(store, NOW)
        await store.settle(DeliveryPostponed(await claimed_delivery(store), NOW, "busy"))
        await store.settle(DeliveryPostponed(await claimed_delivery(store), NOW, "down", parked=True))
        assert (await claimed_delivery(store)).attempts == 2


class TestPause:
    async def test_nothing_is_claimed(self, store: Store) -> None:
        """Deliveries wait, those that come meanwhile too; other destinations notice nothing."""
        await events(store, NOW)
        assert await store.transact_promptly(pause, "orders", reason="maintenance", now_ms=NOW)
        await events(store, NOW - 1)
        assert await store.claim(claim_deliveries, claim(), destination="orders") == []
        assert len(await store.claim(claim_deliveries, claim(), destination="audit")) == 2

    async def test_holds_for_every_process(self, store: Store) -> None:
        """Who opens the database later finds it paused."""
        await events(store, NOW)
        await store.transact_promptly(pause, "orders", reason=None, now_ms=NOW)
        other = Store(store.engine.url.render_as_string(hide_password=False))
        try:
            assert await other.claim(claim_deliveries, claim(), destination="orders") == []
        finally:
            other.close()

    async def test_what_is_under_way_is_settled(self, store: Store) -> None:
        """A batch that was claimed before ends as it would have."""
        await events(store, NOW)
        job = await claimed_delivery(store)
        await store.transact_promptly(pause, "orders", reason=None, now_ms=NOW)
        assert await store.settle(DeliveryConfirmed(job, NOW))

    async def test_twice(self, store: Store) -> None:
        """The first time counts; a new reason replaces the old one, none does not."""
        await store.transact_promptly(pause, "orders", reason="one", now_ms=NOW)
        assert not await store.transact_promptly(pause, "orders", reason="two", now_ms=NOW + 1)
        assert not await store.transact_promptly(pause, "orders", reason=None, now_ms=NOW + 2)
        found = await status(store)
        assert (found.paused_ms, found.reason) == (NOW, "two")


class TestResume:
    async def test_all_that_waited_is_claimed(self, store: Store) -> None:
        """With its attempts untouched, and whoever waits for deliveries is woken."""
        await events(store, NOW - 2, NOW - 1, NOW)
        await store.transact_promptly(pause, "orders", reason="x", now_ms=NOW)
        woken = store.wake.subscribe("forward")
        assert await store.resume("orders")
        assert woken.is_set()
        jobs = await store.claim(claim_deliveries, claim(), destination="orders")
        assert [job.attempts for job in jobs] == [1, 1, 1]
        found = await status(store)
        assert (found.paused_ms, found.reason) == (None, None)

    async def test_what_is_not_paused(self, store: Store) -> None:
        """Nothing to do, and no harm."""
        assert not await store.resume("orders")
        await store.transact_promptly(note_breaker, "orders", probe_ms=NOW)
        assert not await store.resume("orders")


class TestBacklog:
    async def test_counts_what_waits(self, store: Store) -> None:
        """Per destination, with the time of the oldest event; what is claimed or put off waits too."""
        assert [one.waiting for one in await statuses(store)] == [Waiting(0), Waiting(0)]
        await events(store, NOW - 9_000, NOW - 5_000, NOW)
        first, second, _ = await store.claim(claim_deliveries, claim(), destination="orders")
        await store.settle(DeliveryPostponed(second, NOW + 10**9, "busy"))
        await store.settle(DeliveryConfirmed(first, NOW))
        audit, orders = (one.waiting for one in await statuses(store))
        assert (audit.count, audit.oldest_ms) == (3, NOW - 9_000)
        assert (orders.count, orders.oldest_ms) == (2, NOW - 5_000)
        assert orders.oldest_s(NOW) == 5

    async def test_the_oldest_was_put_off(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """It stands at the end of the queue, and is found behind any number of newer ones."""
        monkeypatch.setattr(backlog, "SAMPLED", 1)
        await events(store, NOW - 9_000, NOW - 5_000, NOW - 1_000)
        first, *_ = await store.claim(claim_deliveries, claim(limit=1), destination="orders")
        await store.settle(DeliveryPostponed(first, NOW + 10**9, "busy"))
        _, orders = await statuses(store)
        assert orders.waiting == Waiting(3, NOW - 9_000, "busy")

    async def test_what_nobody_is_configured_for(self, store: Store) -> None:
        """Deliveries of a destination that was removed are not lost sight of."""
        await events(store, NOW)
        other = Store(store.engine.url.render_as_string(hide_password=False), destinations=["zeta"])
        try:
            assert [(one.name, one.waiting.count) for one in await statuses(other)] == [
                ("audit", 1),
                ("orders", 1),
                ("zeta", 0),
            ]
        finally:
            other.close()


class TestKnownDestinations:
    async def test_configured_in_use_and_paused(self, store: Store) -> None:
        """Whatever has deliveries, waiting or settled, or is paused, is known."""
        await events(store, NOW)
        await store.settle(DeliveryConfirmed(await claimed_delivery(store), NOW))
        url = store.engine.url.render_as_string(hide_password=False)
        other = Store(url, destinations=["new"])
        try:
            assert await other.transact(known_destinations, other.destinations) == ["audit", "new", "orders"]
            await other.transact_promptly(pause, "gone", reason=None, now_ms=NOW)
            assert await other.transact(known_destinations, other.destinations) == [
                "audit",
                "gone",
                "new",
                "orders",
            ]
        finally:
            other.close()


class TestKnownSources:
    async def test_configured_and_stored(self, store: Store) -> None:
        """Whoever sent something, readable or not, is known."""
        await store.record(stored.an_event(source="acme"))
        await store.record(stored.a_body("x"))
        assert await store.transact(known_sources, ["new"]) == ["acme", "new", "photoverse"]


class TestDestinationStatuses:
    async def test_tells_how_it_goes(self, store: Store) -> None:
        """What waits, what was delivered, what is dead, and the last error."""
        await events(store, *range(NOW - 3, NOW + 1))
        one, two, three, _ = await store.claim(claim_deliveries, claim(), destination="orders")
        await store.settle(DeliveryConfirmed(one, NOW))
        await store.settle(DeliveryDead(two, NOW, "refused"))
        found = await status(store)
        assert (found.waiting.error, found.dead_error) == (None, "refused")
        await store.settle(DeliveryPostponed(three, NOW + 5, "busy"))
        found = await status(store)
        assert (found.waiting.count, found.delivered, found.dead) == (2, 1, 1)
        assert found.waiting.error == "busy"

    async def test_breaker(self, store: Store) -> None:
        """What a worker noted of its breaker, until it is taken back; a pause does not touch it."""
        await store.transact_promptly(note_breaker, "orders", probe_ms=NOW + 7)
        await store.transact_promptly(pause, "orders", reason="x", now_ms=NOW)
        found = await status(store)
        assert found.probe_ms == NOW + 7
        assert found.is_down(NOW)
        assert not found.is_down(NOW + 3_600_000), "who opened it is gone"
        await store.transact_promptly(note_breaker, "orders", probe_ms=None)
        found = await status(store)
        assert (found.probe_ms, found.reason) == (None, "x")
        assert not found.is_down(NOW)

    async def test_a_stranger(self, store: Store) -> None:
        """A name that nobody used has nothing."""
        assert await status(store, "new") == DestinationStatus(
            "new", Waiting(0), 0, 0, None, None, None, None
        )


class TestQueryPlan:
    async def test_no_figure_reads_the_whole_table(self, store: Store) -> None:
        """Everything that is counted or looked up reads an index, however many rows are done."""
        await events(store, *range(NOW - 2, NOW + 1))
        await store.settle(DeliveryDead(await claimed_delivery(store), NOW, "no"))
        seen: list[tuple[str, Any]] = []

        def note(*call: Any) -> None:
            seen.append((call[2], call[3]))

        listen(store.engine, "before_cursor_execute", note)
        await statuses(store)
        remove(store.engine, "before_cursor_execute", note)
        queries = {query: parameters for query, parameters in seen if "FROM delivery" in query}
        assert len(queries) >= 7
        with store.engine.begin() as connection:
            for query, parameters in queries.items():
                if not store.is_embedded:
                    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
                explain = "EXPLAIN QUERY PLAN " if store.is_embedded else "EXPLAIN "
                plan = str(connection.exec_driver_sql(explain + query, parameters).all())
                settled = ("ix_delivery_settled", "ix_delivery_dead")
                indexes = settled if "settled_ms IS NOT NULL" in query else ("ix_delivery_due",)
                assert any(index in plan for index in indexes), (query, plan)
