"""Lists and figures cost the same, however much the database holds that they are not about."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from receiver.store import Store, backlog, window
from receiver.store.destinations import destination_statuses, known_destinations
from receiver.store.filters import Filter
from receiver.store.search import find_deliveries, find_events
from receiver.store.standing import standing
from tests.contract.test_store import leave_waiting, plans, reads, reads_all

GENERATION = "gen_1"


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=("orders", "audit"))
    yield opened
    opened.close()


class TestLists:
    async def test_a_generation_is_found_by_its_key(self, store: Store) -> None:
        """Its events and deliveries, of whatever source, without reading those of others."""
        await leave_waiting(store)
        with plans(store) as seen:
            events = await store.transact(find_events, Filter(generation_id=GENERATION))
            deliveries = await store.transact(
                find_deliveries, Filter(generation_id=GENERATION, source="photoverse")
            )
        assert {event.generation_id for event in events.rows} == {GENERATION}
        assert {delivery.generation_id for delivery in deliveries.rows} == {GENERATION}
        assert not [plan for plan in seen.values() if reads_all(plan)]

    async def test_a_generation_that_is_not_there(self, store: Store) -> None:
        """One of another source, or that an id given beside it is not about, is not found."""
        await leave_waiting(store)
        (event,) = (await store.transact(find_events, Filter(generation_id=GENERATION))).rows
        for wanted in (
            Filter(generation_id="gen_none"),
            Filter(generation_id=GENERATION, source="other"),
            Filter(generation_id=GENERATION, ids=(event.id[:-1] + "x",)),
        ):
            page = await store.transact(find_events, wanted)
            assert (page.rows, page.more) == ([], False)
            assert not (await store.transact(find_deliveries, wanted)).rows
        assert (await store.transact(find_events, Filter(generation_id=GENERATION, ids=(event.id,)))).rows

    async def test_what_waits_is_found_beside_what_is_settled(self, store: Store) -> None:
        """Pending and late events are read along an index of their own."""
        await leave_waiting(store)
        with plans(store) as seen:
            page = await store.transact(find_events, Filter(state="pending"), limit=200, newest_first=True)
        assert {one.state for one in page.rows} == {"pending"}
        assert reads(seen["SELECT event"], "ix_event_unsettled")
        assert not (await store.transact(find_events, Filter(state="late"))).rows

    async def test_the_few_that_wait_are_found_beside_many_delivered(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first look finds them: what is delivered is nothing to look through."""
        monkeypatch.setattr(window, "_CANDIDATES", 50)
        await leave_waiting(store)
        with store.engine.begin() as connection:
            (first,) = connection.execute(text("SELECT min(event_id) FROM delivery")).one()
            done = text("UPDATE delivery SET state = 'delivered', settled_ms = 1 WHERE event_id > :first")
            connection.execute(done, {"first": first})
        with plans(store) as seen:
            found = await store.transact(find_deliveries, Filter(state="pending"), newest_first=True)
        assert [one.event_id for one in found.rows] == [first] * 2
        assert not found.more
        assert "ix_delivery_due" in seen["SELECT delivery"] or not store.is_embedded


class TestFigures:
    async def test_are_read_from_indexes(self, store: Store) -> None:
        """What waits for destinations and what they confirmed is counted without reading all deliveries."""
        await leave_waiting(store)
        with plans(store) as seen:
            names = await store.transact(known_destinations, store.destinations)
            await store.transact(destination_statuses, names)
        assert not [plan for plan in seen.values() if reads_all(plan)]

    async def test_stop_counting(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond a bound a figure says that there are at least so many."""
        await leave_waiting(store)
        monkeypatch.setattr(backlog, "COUNTED", 50)
        found = await store.transact(standing, store.destinations)
        assert {one.waiting.count for one in found.destinations} == {50}
        assert found.mirroring.count == 50
