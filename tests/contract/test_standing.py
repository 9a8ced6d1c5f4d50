"""What waits in each stage: the same figures from both databases, at a bounded cost."""

import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from sqlalchemy.event import listen, remove

from receiver import operations
from receiver.contract import COMPLETED
from receiver.events import Asset, event_id
from receiver.operations.next_try import Configured, circumstances
from receiver.store import Store, backlog, standing
from receiver.store.backlog import Waiting
from receiver.store.claim import claim_events
from receiver.store.destinations import DestinationState, note_breaker, pause
from receiver.store.filters import Filter
from receiver.store.operations import Order
from receiver.store.outages import ASSET_HOST, BUCKET, STALE_MS, note_outages
from receiver.store.record import NewEvent
from receiver.store.settlements import DeliveryConfirmed, EventPostponed, EventSettled
from receiver.store.spools import Process, Spool, see_spool
from receiver.store.standing import Allowance, Standing, WaitingEvents
from receiver.store.submitted import CreditsRefused
from receiver.store.tables import PACE, SUBMISSION
from tests.stored import FAR, LEASE_MS, NOW, an_event, claim, claimed, settled

FAILED = Asset("failed", error="http_503", retried_until_ms=NOW + 1000)
_INDEXES = (
    *("ix_event_due", "ix_event_unsettled", "pk_event", "sqlite_autoindex_event_1"),
    "ix_submission_open",
)
PACE_ROW = {"most": 60, "remaining": 3, "reset_ms": NOW, "opened_ms": 0, "paused_ms": 0, "skew_ms": -1500}


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database)
    yield opened
    opened.close()


async def record(
    store: Store, *, source: str = "photoverse", host: str | None = "cdn.example.com", at: int = NOW
) -> None:
    new_id = event_id(at, secrets.token_bytes(10))
    await store.record(NewEvent(new_id, source, new_id, COMPLETED, host, b"{}", "webhook", at))


async def look(store: Store) -> Standing:
    return await store.transact(standing.standing, store.destinations)


def _keep_pace(connection: Connection, name: str) -> None:
    connection.execute(insert(PACE).values(name=name, **PACE_ROW))


def _refuse(connection: Connection, rows: Sequence[tuple[str, str, int, str | None]]) -> None:
    for name, source, at, error in rows:
        named = {"client_ref": name, "source": source, "kind": "image", "request": "{}", "told": "{}"}
        refused = {"state": "refused", "sent_ms": NOW + at, "error": error}
        connection.execute(insert(SUBMISSION).values(**named, **refused))


class TestStanding:
    async def test_nothing(self, store: Store) -> None:
        """A new database has a size and no work."""
        found = await look(store)
        assert (found.events, found.late, found.mirroring) == ([], Waiting(0), Waiting(0))
        assert (found.destinations, found.quarantined, found.spools, found.allowances) == ([], 0, [], [])
        assert found.database_bytes > 10_000
        assert (found.database_now_ms is None) == store.is_embedded

    async def test_what_waits(self, store: Store) -> None:
        """Events are counted by source and host, and the age is of receipt, whatever they are due for."""
        await record(store, at=NOW - 9)
        await record(store)
        await record(store, source="acme", host="slow.example.com", at=NOW - 5)
        await record(store, source="acme", host=None)
        await store.claim(claim_events, claim(at=NOW), with_asset=True)
        found = await look(store)
        assert sorted(found.events, key=str) == [
            WaitingEvents("acme", "slow.example.com", Waiting(1, NOW - 5)),
            WaitingEvents("acme", None, Waiting(1, NOW)),
            WaitingEvents("photoverse", "cdn.example.com", Waiting(2, NOW - 9)),
        ]
        assert found.mirroring == Waiting(3, NOW - 9)
        assert [one.asset_host for one in found.hosts] == ["cdn.example.com", "slow.example.com"]

    async def test_the_oldest_was_put_off(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is found behind any number that are due before it."""
        monkeypatch.setattr(standing, "SAMPLED", 1)
        await record(store, at=NOW - 9)
        (job,) = await store.claim(claim_events, claim(at=NOW), with_asset=True)
        await store.settle(EventPostponed(job, FAR, "http_503"))
        await record(store)
        await record(store)
        assert (await look(store)).mirroring == Waiting(3, NOW - 9, "http_503")

    async def test_no_more_than_a_bound_is_counted(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A queue of any length costs as much as one at the bound."""
        monkeypatch.setattr(backlog, "COUNTED", 2)
        for _ in range(3):
            await record(store)
            await record(store, host=None)
        counts = {one.asset_host: one.waiting.count for one in (await look(store)).events}
        assert counts == {"cdn.example.com": 2, None: 2}

    async def test_late_assets(self, store: Store) -> None:
        """What went out without its asset waits elsewhere."""
        await record(store, at=NOW - 7)
        (job,) = await store.claim(claim_events, claim(at=FAR), with_asset=True)
        await store.settle(EventSettled(job, FAILED, NOW, retry_ms=NOW))
        found = await look(store)
        assert (found.events, found.late) == ([], Waiting(1, NOW - 7))

    async def test_workers(self, store: Store) -> None:
        """Each with when it was last seen, the latest first."""
        process = Process("web-1", 4711)
        await store.transact(see_spool, "dead", now_ms=NOW - LEASE_MS)
        await store.transact(see_spool, "alive", now_ms=NOW - 1, process=process)
        await store.transact(see_spool, "alive", now_ms=NOW)
        found = await look(store)
        assert found.spools == [Spool("alive", NOW, process), Spool("dead", NOW - LEASE_MS)]
        assert [one.title for one in found.spools] == [
            "Worker 4711 on web-1",
            "Worker with the spool folder dead",
        ]

    async def test_circumstances(self, store: Store) -> None:
        """What keeps work from being done, without counting any of it."""
        configured = Configured(lease_s=LEASE_MS / 1000)
        assert not (await store.transact(circumstances, configured, now_ms=NOW)).is_worker_alive
        await store.transact(see_spool, "ours", now_ms=NOW)
        await store.transact_promptly(pause, "paused", reason="a move", now_ms=NOW)
        await store.transact_promptly(note_breaker, "down", probe_ms=NOW)
        for name, now_ms in (("cdn", NOW), ("gone", NOW - STALE_MS)):
            await store.transact(note_outages, {(ASSET_HOST, name): "connect"}, now_ms=now_ms)
        seen = await store.transact(circumstances, configured, now_ms=NOW)
        assert seen.is_worker_alive
        assert [one.name for one in seen.outages] == ["cdn"]
        assert seen.destinations == {
            "paused": DestinationState(paused_ms=NOW, reason="a move"),
            "down": DestinationState(probe_ms=NOW),
        }
        assert [seen.destinations[name].is_down(NOW) for name in ("paused", "down")] == [False, True]

    async def test_rate_limits(self, store: Store) -> None:
        """Of each key, by what the client keeps it under."""
        for name in ("ours", "theirs"):
            await store.transact(_keep_pace, name)
        assert [one.name for one in (await look(store)).allowances] == ["ours", "theirs"]
        found = await look(store)
        assert found.allowances[0] == Allowance("ours", 60, 3, NOW, -1500)
        limits = found.rate_limits({"ours": "photoverse", "nobody's": "acme"})
        assert limits == {"acme": None, "photoverse": found.allowances[0]}

    async def test_what_is_left(self, store: Store) -> None:
        """All of it, once the window is over by the provider's clock."""
        await store.transact(_keep_pace, "ours")
        [ours] = (await look(store)).allowances
        assert (ours.left(NOW + 1500 - 1), ours.left(NOW + 1500)) == (3, 60)

    async def test_what_is_down(self, store: Store) -> None:
        """Of one kind, as long as a worker says so."""
        await store.transact(note_outages, {(BUCKET, "*"): "x", (ASSET_HOST, "h"): "y"}, now_ms=NOW)
        found = await look(store)
        assert [one.name for one in found.down(ASSET_HOST, NOW)] == ["h"]
        assert found.down(BUCKET, NOW + STALE_MS) == []

    async def test_credits(self, store: Store) -> None:
        """The latest refusal for lack of them of each source, however it is worded, and what was left."""
        rows = [
            ("a", "acme", 1, "insufficient_credits: pay (7 left)"),
            ("b", "acme", 2, "Not enough credits"),
            ("c", "acme", 3, "model_disabled"),
            ("d", "photoverse", 5, "You need 5 credits but only have 2"),
            ("e", "photoverse", 4, "insufficient_credits: pay (9 left)"),
            ("f", "quiet", 6, None),
        ]
        await store.transact(_refuse, rows)
        assert (await look(store)).credits_refused == [
            CreditsRefused("acme", NOW + 2, None),
            CreditsRefused("photoverse", NOW + 5, 2),
        ]

    async def test_a_replay_is_told_from_a_first_delivery(self, either_database: str) -> None:
        """What an operator has sent again is claimed as such, so that its age counts as nobody's delay."""
        store = Store(either_database, destinations=("orders", "audit"))
        await settled(store, an_event())
        (first,) = await claimed(store)
        await store.settle(DeliveryConfirmed(first, NOW))
        order = Order("events.replay", Filter(), ("orders",), missing=False, rate=0)
        begun = await operations.begin(store, order)
        await operations.finish(store, begun.id)
        (again,) = await claimed(store, at=FAR)
        store.close()
        assert (first.is_first, again.is_first) == (True, False)

    async def test_what_leaves_meanwhile(self, store: Store) -> None:
        """The last delivery may leave between two statements: PostgreSQL shows each what is committed."""
        store.reroute(("orders",), lambda _event, names: names)
        await settled(store, an_event())
        assert await store.transact(backlog.waiting_for, "orders") == Waiting(1, NOW)

        def leave(connection: Connection, *call: Any) -> None:
            if "count" in call[1] and "FROM delivery" in call[1]:
                connection.exec_driver_sql("UPDATE delivery SET state = 'delivered', settled_ms = 1")

        listen(store.engine, "after_cursor_execute", leave)
        try:
            assert await store.transact(backlog.waiting_for, "orders") == Waiting(0)
        finally:
            remove(store.engine, "after_cursor_execute", leave)

    async def test_reads_indexes(self, store: Store) -> None:
        """No look reads the tables of events and submissions: they only grow."""
        seen: list[tuple[str, Any]] = []

        def note(*call: Any) -> None:
            seen.append((call[2], call[3]))

        listen(store.engine, "before_cursor_execute", note)
        await store.transact(_refuse, [("a", "acme", 1, "not enough credits")])
        await look(store)
        remove(store.engine, "before_cursor_execute", note)
        queries = [one for one in seen if "FROM event" in one[0] or "FROM submission" in one[0]]
        assert len(queries) == 9
        with store.engine.begin() as connection:
            for query, parameters in queries:
                if not store.is_embedded:
                    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
                explain = "EXPLAIN QUERY PLAN " if store.is_embedded else "EXPLAIN "
                plan = str(connection.exec_driver_sql(explain + query, parameters).all())
                assert any(index in plan for index in _INDEXES), (query, plan)
