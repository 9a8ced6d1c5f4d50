"""Late assets, alike on SQLite and PostgreSQL: tried for in a queue of their own, told of once."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy import event as sql_event

from receiver.contract import COMPLETED, FAILED
from receiver.events import ASSET_MIRRORED, Asset, Event, event_id, follow_up, normalize
from receiver.store import Store
from receiver.store.claim import Away, Claim, claim_deliveries, claim_events, release, renew
from receiver.store.fanout import FanOut, everywhere
from receiver.store.jobs import EventJob, LateJob, Sources
from receiver.store.late import LateArrived, LateGivenUp, LatePostponed, claim_late, take_failed
from receiver.store.passes import known_endings
from receiver.store.record import Duplicate, NewEvent
from receiver.store.settle import settle
from receiver.store.settlements import Closing, DeliveryConfirmed, EventPostponed, EventSettled
from receiver.store.tables import ASSET, DELIVERY, EVENT, LATE_ASSET
from receiver.store.wake import FORWARD
from tests.acceptance.service import completed
from tests.contract.test_ledger import a_submission, open_ledger, waits
from tests.waiting.blocking import until

NOW = 1_700_000_000_000
LEASE_MS = 60_000
RETRY_MS = NOW + 5_000
UNTIL_MS = NOW + 3_600_000
HOST = "cdn.example.com"
GIVEN_UP = Asset("failed", error="http_503", retried_until_ms=UNTIL_MS)
MIRRORED = Asset("mirrored", "s3://bucket/k.png", "image/png", 3, "0" * 64)


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=("orders", "audit"))
    yield opened
    opened.close()


def claim(limit: int = 100, *, at: int = RETRY_MS) -> Claim:
    return Claim(at, at + LEASE_MS, secrets.token_hex(16), limit)


def an_event(generation_id: str = "gen_1", type_: str = COMPLETED, *, host: str = HOST) -> NewEvent:
    body = completed(generation_id, f"https://{host}/a.png")
    new_id = event_id(NOW, secrets.token_bytes(10))
    return NewEvent(new_id, "photoverse", generation_id, type_, host, body, "webhook", NOW)


async def given_up(store: Store, event: NewEvent, asset: Asset = GIVEN_UP) -> EventJob:
    """Settle *event* without its asset."""
    await store.record(event)
    (job,) = await store.claim(claim_events, claim(1, at=NOW), with_asset=True)
    retry_ms = RETRY_MS if asset.retried_until_ms else None
    assert await store.settle(EventSettled(job, asset, NOW, retry_ms))
    return job


async def late(store: Store, *, at: int = RETRY_MS) -> LateJob:
    (job,) = await store.claim(claim_late, claim(1, at=at))
    return job


def arrived(job: LateJob, *, at: int = RETRY_MS) -> LateArrived:
    new_id = event_id(at, secrets.token_bytes(10))
    body = follow_up(job.body, now_ms=at)
    told = NewEvent(new_id, job.source, job.generation_id, ASSET_MIRRORED, None, body, "mirror", at)
    return LateArrived(job, MIRRORED, told, at)


def rows(store: Store, table: Any) -> list[Any]:
    with store.engine.begin() as connection:
        return list(connection.execute(select(table)).all())


class TestClaimLate:
    async def test_is_due_once_the_event_went_without(self, store: Store) -> None:
        """What is still tried for is claimed with its event once its pause has passed; it is no live work."""
        event = an_event()
        await given_up(store, event)
        assert await store.claim(claim_late, claim(at=RETRY_MS - 1)) == []
        job = await late(store)
        assert (job.id, job.body, job.received_ms) == (event.id, event.body, NOW)
        assert (job.attempts, job.until_ms) == (1, UNTIL_MS)
        assert await store.claim(claim_events, claim(), with_asset=True) == []

    async def test_not_what_was_given_up_for_good(self, store: Store) -> None:
        """A permanent failure leaves nothing to try for."""
        await given_up(store, an_event(), Asset("failed", error="http_404"))
        assert await store.claim(claim_late, claim()) == []

    async def test_claims_only_once(self, store: Store) -> None:
        """What one claim holds another does not get, until its lease has run out."""
        await given_up(store, an_event())
        batches = await asyncio.gather(*(store.claim(claim_late, claim()) for _ in range(5)))
        assert sum(map(len, batches)) == 1
        again = await late(store, at=RETRY_MS + LEASE_MS)
        assert again.attempts == 2

    async def test_spares_busy_hosts(self, store: Store) -> None:
        """Assets on hosts that have enough to do are left."""
        await given_up(store, an_event("gen_a", host="slow.example.com"))
        event = an_event("gen_b")
        await given_up(store, event)
        jobs = await store.claim(claim_late, claim(), except_hosts=["slow.example.com"])
        assert [job.id for job in jobs] == [event.id]

    async def test_hosts_that_are_down(self, store: Store) -> None:
        """Assets on hosts that are away are left until their time is over."""
        await given_up(store, an_event(host="gone.example.com"))
        away = Away(["gone.example.com"])
        assert await store.claim(claim_late, claim(), away=away) == []
        assert len(await store.claim(claim_late, claim(at=UNTIL_MS), away=away)) == 1

    async def test_of_some_sources(self, store: Store) -> None:
        """Only assets of the sources asked for are taken."""
        ours, own = an_event(), an_event()._replace(source="acme")
        for event in (ours, own):
            await given_up(store, event)
        assert [job.id for job in await store.claim(claim_late, claim(), sources=Sources(only="acme"))] == [
            own.id
        ]
        jobs = await store.claim(claim_late, claim(), sources=Sources(without=["acme"]))
        assert [job.id for job in jobs] == [ours.id]

    async def test_is_not_its_event(self, store: Store) -> None:
        """A worker that lost the event long ago is told so, also beside one that holds its late asset."""
        stale = await given_up(store, an_event())
        job = await late(store)
        settlements = EventPostponed(stale, RETRY_MS, "late"), LatePostponed(job, RETRY_MS, "http_503")
        closings = [Closing(one) for one in settlements]
        closed = await store.transact(settle, closings, fan_out=FanOut(store.destinations, everywhere))
        assert [one.held for one in closed] == [False, True]

    async def test_renewed_and_released(self, store: Store) -> None:
        """A renewed lease holds; released work is due at once and has cost no attempt."""
        await given_up(store, an_event())
        job = await late(store)
        await store.transact_promptly(renew, [job.lease], until_ms=RETRY_MS + 3 * LEASE_MS)
        assert await store.claim(claim_late, claim(at=RETRY_MS + 2 * LEASE_MS)) == []
        await store.transact_promptly(release, [job.lease], now_ms=RETRY_MS)
        assert (await late(store)).attempts == 1

    async def test_reads_the_index_of_what_is_due(self, store: Store) -> None:
        """Finding due late assets reads their own index."""
        seen: list[tuple[str, Any]] = []
        sql_event.listen(store.engine, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
        sources = Sources(without=["acme", "other"])
        await store.claim(claim_late, claim(), sources=sources, except_hosts=["slow.example.com"])
        query, parameters = next(one for one in seen if one[0].startswith("SELECT"))
        with store.engine.begin() as connection:
            if not store.is_embedded:
                connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            explain = "EXPLAIN QUERY PLAN " if store.is_embedded else "EXPLAIN "
            assert "ix_late_asset_due_ms" in str(
                connection.exec_driver_sql(explain + query, parameters).all()
            )


class TestArrived:
    async def test_is_told_once_to_every_destination(self, store: Store) -> None:
        """The asset is mirrored, and a settled event of its own carries it to each destination."""
        first = await given_up(store, an_event())
        result = arrived(await late(store))
        assert await store.settle(result)
        assert {(row.event_id, row.status, row.url) for row in rows(store, ASSET)} == {
            (id_, "mirrored", MIRRORED.url) for id_ in (first.id, result.event.id)
        }
        told = {(row.event_id, row.destination) for row in rows(store, DELIVERY)}
        assert told == {(id_, name) for id_ in (first.id, result.event.id) for name in ("orders", "audit")}
        assert rows(store, LATE_ASSET) == []

    async def test_the_message_reads_like_any_other(self, store: Store) -> None:
        """Its delivery has the asset and a body that is read as the follow-up of that generation."""
        await given_up(store, an_event())
        result = arrived(await late(store))
        await store.settle(result)
        jobs = await store.claim(claim_deliveries, claim(), destination="orders")
        (job,) = [job for job in jobs if job.event_id == result.event.id]
        event = normalize(job.body, source=job.source)
        assert isinstance(event, Event)
        assert (event.type, event.generation_id, job.asset) == (ASSET_MIRRORED, "gen_1", MIRRORED)

    async def test_wakes_the_forwarders(self, store: Store) -> None:
        """Whoever waits for deliveries is told."""
        await given_up(store, an_event())
        woken = store.wake.subscribe(FORWARD)
        woken.clear()
        await store.settle(arrived(await late(store)))
        assert woken.is_set()

    async def test_lost_lease_writes_nothing(self, store: Store) -> None:
        """Of two workers that both had it only the holder of the lease tells of it."""
        await given_up(store, an_event())
        slow = await late(store)
        quick = await late(store, at=RETRY_MS + LEASE_MS)
        assert not await store.settle(arrived(slow))
        assert [row.status for row in rows(store, ASSET)] == ["failed"]
        assert await store.settle(arrived(quick))
        assert not await store.settle(arrived(slow))
        assert len(rows(store, EVENT)) == 2

    async def test_told_before_is_not_told_again(self, store: Store) -> None:
        """Should the queue hold it again after it was told of, the unique key still makes it once."""
        first = await given_up(store, an_event())
        await store.settle(arrived(await late(store)))
        with store.engine.begin() as connection:
            connection.execute(update(ASSET).where(ASSET.c.event_id == first.id).values(status="failed"))
        again = await store.transact_promptly(take_failed, claim(), event_id=first.id)
        assert again is not None
        assert await store.settle(arrived(again))
        assert [row.type for row in rows(store, EVENT)].count(ASSET_MIRRORED) == 1
        assert {row.status for row in rows(store, ASSET)} == {"mirrored"}

    async def test_ours_is_no_ending(self, store: Store) -> None:
        """The completion stays the generation's last word: a webhook repeated later is its duplicate."""
        event = an_event()
        await given_up(store, event)
        await store.settle(arrived(await late(store)))
        assert await store.record(an_event()) == Duplicate(event.id)
        assert await store.transact_promptly(known_endings, "photoverse", ["gen_1"]) == {("gen_1", COMPLETED)}

    async def test_many_kinds_in_one_batch(self, store: Store) -> None:
        """Each gets its own answer, live and late together."""
        for name in ("gen_a", "gen_b", "gen_c"):
            await given_up(store, an_event(name))
        one, two, three = await store.claim(claim_late, claim())
        await store.record(an_event("gen_d"))
        (live,) = await store.claim(claim_events, claim(), with_asset=True)
        held = await asyncio.gather(
            store.settle(arrived(one)),
            store.settle(LatePostponed(two, RETRY_MS + 1, "http_503\0")),
            store.settle(LateGivenUp(three, "http_404")),
            store.settle(EventSettled(live, MIRRORED, RETRY_MS)),
        )
        assert list(held) == [True] * 4
        (left,) = rows(store, LATE_ASSET)
        assert (left.event_id, left.due_ms, left.lease, left.last_error) == (
            two.id,
            RETRY_MS + 1,
            None,
            "http_503",
        )


class TestTakeFailed:
    async def test_takes_what_nobody_tries_for(self, store: Store) -> None:
        """A given-up completion is taken for one more attempt, also where the failure was permanent."""
        event = an_event()
        await given_up(store, event, Asset("failed", error="blocked_url"))
        job = await store.transact_promptly(take_failed, claim(), event_id=event.id)
        assert job is not None
        assert (job.id, job.attempts, job.until_ms) == (event.id, 1, RETRY_MS)
        assert await store.settle(arrived(job))

    async def test_keeps_the_time_of_what_is_queued(self, store: Store) -> None:
        """What workers still try for may be taken between their attempts, and keeps its bound."""
        event = an_event()
        await given_up(store, event)
        job = await store.transact_promptly(take_failed, claim(at=NOW), event_id=event.id)
        assert job is not None
        assert job.until_ms == UNTIL_MS

    async def test_not_what_a_worker_holds(self, store: Store) -> None:
        """While a lease holds, nobody else tries."""
        event = an_event()
        await given_up(store, event)
        await late(store)
        assert await store.transact_promptly(take_failed, claim(), event_id=event.id) is None

    async def test_not_what_is_mirrored_or_no_completion(self, store: Store) -> None:
        """Only the failed asset of a completion has something to be told."""
        mirrored, failure = an_event("gen_a"), an_event("gen_b", FAILED)
        await given_up(store, mirrored, MIRRORED)
        await given_up(store, failure, Asset("failed", error="http_404"))
        for event in (mirrored, failure):
            assert await store.transact_promptly(take_failed, claim(), event_id=event.id) is None
        assert rows(store, LATE_ASSET) == []


class TestTakeFailedOnPostgres:
    async def test_while_the_file_arrives(self, migrated_postgres_database: str) -> None:
        """Taken at the moment in which a worker tells that it came, neither transaction loses: it came."""
        store = Store(migrated_postgres_database, destinations=("orders",))
        event = an_event()
        await given_up(store, event)
        with store.engine.begin() as worker:
            worker.execute(delete(LATE_ASSET))
            taking = asyncio.create_task(store.transact_promptly(take_failed, claim(), event_id=event.id))
            await asyncio.to_thread(until, lambda: waits(store))
            await asyncio.to_thread(worker.execute, update(ASSET).values(status="mirrored"))
        assert await taking is None
        assert rows(store, LATE_ASSET) == []
        store.close()


class TestSettleOnPostgres:
    async def test_while_a_submission_is_answered(self, migrated_postgres_database: str) -> None:
        """A late asset settled together with deliveries waits for a client's answer, and all is written."""
        store = Store(migrated_postgres_database, destinations=("orders",))
        ledger = open_ledger(migrated_postgres_database)
        for generation_id in ("gen_1", "gen_2"):
            await given_up(store, an_event(generation_id))
        arrival = arrived((await store.claim(claim_late, claim(1)))[0])
        jobs = await store.claim(claim_deliveries, claim(), destination="orders")
        ledger.begin(a_submission())
        with store.engine.begin() as client:
            client.execute(text("UPDATE submission SET state = 'submitted', generation_id = 'gen_9'"))
            confirmed = [store.settle(DeliveryConfirmed(job, RETRY_MS)) for job in jobs]
            settling = asyncio.gather(store.settle(arrival), *confirmed)
            await asyncio.to_thread(until, lambda: waits(store))
            await asyncio.to_thread(client.execute, select(DELIVERY).with_for_update())
        assert await settling == [True, True, True]
        ledger.close()
        store.close()
