"""After the clock was set back nothing waits for the difference, on either database."""

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Select, Table, select, update

from receiver.contract import COMPLETED
from receiver.events import event_id
from receiver.store import Store
from receiver.store.claim import Claim, claim_deliveries, claim_events, renew
from receiver.store.future import Present, correct_due_times
from receiver.store.passes import end_turn, take_turn
from receiver.store.record import NewEvent
from receiver.store.settlements import DeliveryPostponed, EventPostponed, EventSettled
from receiver.store.spools import see_spool
from receiver.store.tables import DELIVERY, EVENT, LATE_ASSET, OPERATION, RECONCILE, SPOOL

HOUR_MS, MINUTE_MS, LEASE_MS = 3_600_000, 60_000, 60_000
AHEAD = 1_700_000_000_000
"""What the clock says that runs ahead."""
NOW = AHEAD - 24 * HOUR_MS
"""What it says after it was set right."""


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=("orders",))
    yield opened
    opened.close()


def present(now_ms: int = NOW, *, back_ms: int = 0, at_start: bool = False) -> Present:
    return Present(now_ms, LEASE_MS, ("orders",), back_ms, at_start=at_start, reconcile_ms=5 * MINUTE_MS)


def claim(now_ms: int, limit: int = 100) -> Claim:
    return Claim(now_ms, now_ms + LEASE_MS, secrets.token_hex(16), limit)


async def recorded(
    store: Store, name: str, at_ms: int = AHEAD, *, host: str | None = "cdn.example.com"
) -> None:
    new_id = event_id(at_ms, secrets.token_bytes(10))
    event = NewEvent(new_id, "photoverse", name, COMPLETED, host, b"{}", "webhook", at_ms)
    await store.record(event)


async def column(store: Store, table: Table, name: str) -> Sequence[Any]:
    return (await store.transact(lambda connection: connection.execute(select(table.c[name])).all()))[0]


async def set_to(store: Store, table: Table, **values: object) -> None:
    await store.transact(lambda connection: connection.execute(update(table).values(values)).rowcount)


def _all(connection: Connection, rows: Select[Any]) -> list[Any]:
    return list(connection.execute(rows))


class TestEvents:
    @pytest.mark.parametrize("host", ["cdn.example.com", None])
    async def test_one_that_nobody_tried_for_is_due(self, store: Store, host: str | None) -> None:
        """Whatever the clock said when it came."""
        await recorded(store, "gen_1", host=host)
        assert await store.claim(claim_events, claim(NOW), with_asset=host is not None) == []
        assert await store.transact_promptly(correct_due_times, present()) == 1
        assert len(await store.claim(claim_events, claim(NOW), with_asset=host is not None)) == 1

    async def test_a_dead_workers_lease_ends_in_time(self, store: Store) -> None:
        """After one lease of now; whoever lives renews it before."""
        await recorded(store, "gen_1")
        await store.claim(claim_events, claim(AHEAD), with_asset=True)
        await store.transact_promptly(correct_due_times, present())
        assert await store.claim(claim_events, claim(NOW + LEASE_MS - 1), with_asset=True) == []
        assert len(await store.claim(claim_events, claim(NOW + LEASE_MS), with_asset=True)) == 1

    async def test_a_living_workers_lease_is_its_own(self, store: Store) -> None:
        """It may renew and settle as before."""
        await recorded(store, "gen_1")
        (job,) = await store.claim(claim_events, taken := claim(AHEAD), with_asset=True)
        await store.transact_promptly(correct_due_times, present())
        await store.transact_promptly(renew, [taken.lease], until_ms=NOW + 2 * LEASE_MS)
        assert await store.claim(claim_events, claim(NOW + LEASE_MS), with_asset=True) == []
        assert (await store.settle(EventSettled(job, None, NOW))) is not False

    @pytest.mark.parametrize(("wait_ms", "left_ms"), [(5 * MINUTE_MS, 5 * MINUTE_MS), (0, 0)])
    async def test_a_retry_keeps_its_wait(self, store: Store, wait_ms: int, left_ms: int) -> None:
        """Where the worker saw by how much the clock went back."""
        await recorded(store, "gen_1", NOW - HOUR_MS)
        back_ms = 20 * MINUTE_MS
        (job,) = await store.claim(claim_events, claim(NOW + back_ms), with_asset=True)
        await store.settle(EventPostponed(job, NOW + back_ms + wait_ms, "http_503"))
        await store.transact_promptly(correct_due_times, present(back_ms=back_ms))
        assert await column(store, EVENT, "due_ms") == (NOW + left_ms,)

    async def test_a_retry_is_due_where_nobody_saw_it(self, store: Store) -> None:
        """At the start of a worker it shows by when the event came, or by a wait longer than any is."""
        await recorded(store, "gen_1", NOW - HOUR_MS)
        (job,) = await store.claim(claim_events, claim(AHEAD), with_asset=True)
        await store.settle(EventPostponed(job, AHEAD + 1, "http_503"))
        assert await store.transact_promptly(correct_due_times, present()) == 1
        assert await column(store, EVENT, "due_ms") == (NOW,)

    @pytest.mark.parametrize("trace", ["event", "spool"])
    async def test_a_retry_of_before_keeps_its_wait(self, store: Store, trace: str) -> None:
        """At the start it shows by what was written last, by how much the clock went back."""
        await recorded(store, "gen_1", NOW - HOUR_MS)
        (job,) = await store.claim(claim_events, claim(NOW + 50 * MINUTE_MS), with_asset=True)
        await store.settle(EventPostponed(job, NOW + 55 * MINUTE_MS, "http_503"))
        if trace == "spool":
            await store.transact_promptly(see_spool, "folder", now_ms=NOW + 50 * MINUTE_MS)
        else:
            await recorded(store, "gen_2", NOW + 50 * MINUTE_MS)
            await store.claim(claim_events, claim(NOW + 50 * MINUTE_MS), with_asset=True)
        for at_start in (True, False):
            await store.transact_promptly(correct_due_times, present(at_start=at_start))
        for at_ms, found in ((NOW + 5 * MINUTE_MS - 1, []), (NOW + 5 * MINUTE_MS, [job.id])):
            taken = await store.claim(claim_events, claim(at_ms), with_asset=True)
            assert [each.id for each in taken if each.generation_id == "gen_1"] == found

    async def test_what_came_from_the_future_keeps_its_backoff(self, store: Store) -> None:
        """Only at the start is it due at once: else a long outage would use its attempts up."""
        await recorded(store, "gen_1", NOW + HOUR_MS)
        await store.transact_promptly(correct_due_times, present())
        (job,) = await store.claim(claim_events, claim(NOW), with_asset=True)
        await store.settle(EventPostponed(job, NOW + 5 * MINUTE_MS, "http_503"))
        assert await store.transact_promptly(correct_due_times, present()) == 0
        assert await store.transact_promptly(correct_due_times, present(at_start=True)) == 1

    @pytest.mark.parametrize("apart_ms", [0, 1000, -1000, -HOUR_MS])
    async def test_ordinary_waits_are_left_alone(self, store: Store, apart_ms: int) -> None:
        """Also by another machine's clock, a second ahead; and nothing that was due stops being so."""
        for number in range(3):
            await recorded(store, f"gen_{number}", NOW)
        held, retried, _ = await store.claim(claim_events, claim(NOW), with_asset=True)
        await store.settle(EventPostponed(retried, NOW + HOUR_MS, "http_503"))
        assert held.lease
        right = replace(present(NOW - apart_ms), at_start=True) if apart_ms >= 0 else present(NOW - apart_ms)
        assert await store.transact_promptly(correct_due_times, right) == 0


class TestDeliveries:
    async def _delivery(self, store: Store, at_ms: int) -> None:
        await recorded(store, "gen_1", at_ms, host=None)
        (job,) = await store.claim(claim_events, claim(at_ms), with_asset=False)
        await store.settle(EventSettled(job, None, at_ms))

    async def test_one_that_nobody_tried_for_is_due(self, store: Store) -> None:
        """A message made by the clock of before is sent now."""
        await self._delivery(store, AHEAD)
        assert await store.claim(claim_deliveries, claim(NOW), destination="orders") == []
        assert await store.transact_promptly(correct_due_times, present()) == 1
        assert len(await store.claim(claim_deliveries, claim(NOW), destination="orders")) == 1

    async def test_a_lease_and_a_retry(self, store: Store) -> None:
        """As with events."""
        await self._delivery(store, NOW - HOUR_MS)
        (job,) = await store.claim(claim_deliveries, claim(AHEAD), destination="orders")
        await store.transact_promptly(correct_due_times, present())
        assert await column(store, DELIVERY, "due_ms") == (NOW + LEASE_MS,)
        await store.settle(DeliveryPostponed(job, NOW + 40 * MINUTE_MS, "down"))
        assert await store.transact_promptly(correct_due_times, present()) == 0
        await store.transact_promptly(correct_due_times, present(back_ms=30 * MINUTE_MS))
        assert await column(store, DELIVERY, "due_ms") == (NOW + 10 * MINUTE_MS,)

    async def test_what_an_operator_spread_is_left_alone(self, store: Store) -> None:
        """Hours may lie between the first and the last of a replay."""
        await self._delivery(store, NOW)
        await set_to(store, DELIVERY, operation="replay", due_ms=NOW + 20 * HOUR_MS)
        assert await store.transact_promptly(correct_due_times, present(at_start=True)) == 0
        await store.transact_promptly(correct_due_times, present(back_ms=HOUR_MS))
        assert await column(store, DELIVERY, "due_ms") == (NOW + 19 * HOUR_MS,)


class TestOthers:
    async def test_a_spool_folder_of_the_future(self, store: Store) -> None:
        """Nobody is taken for alive longer than a lease."""
        await store.transact_promptly(see_spool, "folder", now_ms=AHEAD)
        assert await store.transact_promptly(correct_due_times, present()) == 1
        assert await column(store, SPOOL, "seen_ms") == (NOW,)

    async def test_reconciling(self, store: Store) -> None:
        """The next pass comes after no more than its interval."""
        turn = await store.transact_promptly(take_turn, claim(AHEAD), source="photoverse")
        assert turn is not None
        await store.transact_promptly(end_turn, turn, due_ms=AHEAD + 5 * MINUTE_MS)
        assert await store.transact_promptly(take_turn, claim(NOW), source="photoverse") is None
        await store.transact_promptly(correct_due_times, present())
        assert await store.transact_promptly(take_turn, claim(NOW), source="photoverse") is not None
        assert await column(store, RECONCILE, "due_ms") == (NOW + LEASE_MS,)

    async def test_tables_that_are_empty(self, store: Store) -> None:
        """Nothing to do."""
        for back_ms in (HOUR_MS, 0):
            started = present(back_ms=back_ms, at_start=True)
            assert await store.transact_promptly(correct_due_times, started) == 0
        for table in (LATE_ASSET, OPERATION):
            rows = select(table)
            assert await store.transact(_all, rows) == []
