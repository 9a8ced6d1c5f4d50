"""Routing and backfill, kept alike by SQLite and PostgreSQL."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
import structlog.testing
from sqlalchemy import select
from sqlalchemy.event import listen

from receiver.contract import COMPLETED, FAILED
from receiver.events import Asset, event_id
from receiver.routing import Router, take
from receiver.store import Store
from receiver.store.attribution import HOLD_MS
from receiver.store.backfill import Backfilled, Past, Stretch, count_missed
from receiver.store.claim import Claim, claim_deliveries, claim_events
from receiver.store.engine import connect
from receiver.store.fanout import Candidate, everywhere
from receiver.store.filters import Filter
from receiver.store.jobs import DeliveryJob
from receiver.store.ledger import StoreLedger
from receiver.store.progress import progress
from receiver.store.record import NewEvent
from receiver.store.search import find_deliveries
from receiver.store.settlements import DeliveryConfirmed, DeliveryUnwanted, EventSettled
from receiver.store.tables import DELIVERY
from receiver.submissions import Submission
from receiver.telemetry import metrics
from tests.acceptance.service import completed, failed

NOW = 1_700_000_000_000
HOUR_MS = 3_600_000
LEASE_MS = 60_000
PRIMARY_KEY: Final = r"pk_event\b|sqlite_autoindex_event_1"
MIRRORED = Asset("mirrored", "s3://b/k.png", "image/png", 7, "0" * 64)
OPTIONS = {
    "images": {"kinds": "image"},
    "failures": {"types": "generation.failed"},
    "ads": {"filter": "data.submission.metadata.team == 'ads'"},
    "late": {},
}
ROUTE = Router({name: take(name, options)[0] for name, options in OPTIONS.items()})

Open = Callable[..., Store]


@pytest.fixture
def url(either_database: str) -> str:
    return either_database


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = Store(url, destinations=("images", "failures", "ads"), route=ROUTE)
    yield opened
    opened.close()


@pytest.fixture
def ledger(url: str, store: Store) -> Iterator[StoreLedger]:
    opened = StoreLedger(connect(url), "photoverse", clock=lambda: (NOW + 1) / 1000)
    yield opened
    opened.close()


async def settled(store: Store, *bodies: bytes, at: int = NOW, asset: Asset | None = None) -> list[str]:
    """Record events and settle them; return their ids, in order."""
    ids = []
    for number, body in enumerate(bodies):
        told = FAILED if b"generation.failed" in body else COMPLETED
        new_id = event_id(at + number, secrets.token_bytes(10))
        generation_id = f"gen_{at + number}"
        await store.record(
            NewEvent(new_id, "photoverse", generation_id, told, None, body, "webhook", at + number)
        )
        ids.append(new_id)
    claim = Claim(at + HOUR_MS, at + 2 * HOUR_MS, secrets.token_hex(16), len(bodies))
    jobs = await store.claim(claim_events, claim, with_asset=False)
    await asyncio.gather(*(store.settle(EventSettled(job, asset, at)) for job in jobs))
    return ids


async def due(store: Store, destination: str, *, at: int = NOW, limit: int = 100) -> list[DeliveryJob]:
    claim = Claim(at, at + LEASE_MS, secrets.token_hex(16), limit)
    return await store.claim(claim_deliveries, claim, destination=destination)


async def backfill(store: Store, past: Past, *, limit: int = 100) -> list[Backfilled]:
    """Go through all pages."""
    pages = [await store.backfill(past, Stretch(NOW, limit), route=ROUTE)]
    while pages[-1].events == limit:
        pages.append(await store.backfill(past, Stretch(NOW, limit, pages[-1].last), route=ROUTE))
    return pages


def ids(jobs: Sequence[DeliveryJob]) -> list[str]:
    return [job.event_id for job in jobs]


class TestRouting:
    async def test_each_destination_gets_what_matches(self, store: Store) -> None:
        """The transaction that settles an event makes the deliveries that its routing asks for, no others."""
        image, video = await settled(
            store, completed("gen_1", None), completed("gen_2", None, type="video"), asset=MIRRORED
        )
        (failure,) = await settled(store, failed("gen_3"), at=NOW + 10)
        assert ids(await due(store, "images", at=NOW + 10)) == [image, failure]
        assert ids(await due(store, "failures", at=NOW + 10)) == [failure]
        assert video not in [image, failure]
        with store.engine.begin() as connection:
            assert len(connection.execute(select(DELIVERY)).all()) == 3

    async def test_unrouted_is_told(self, store: Store) -> None:
        """An event that no destination wants is settled all the same, counted and logged."""
        counter = metrics.UNROUTED.labels("photoverse")
        before = counter._value.get()
        with structlog.testing.capture_logs() as lines:
            (video,) = await settled(store, completed("gen_1", None, type="video"))
        assert counter._value.get() == before + 1
        assert [(line["event"], line["event_id"]) for line in lines] == [("unrouted", video)]
        assert (await store.transact(progress, [f"gen_{NOW}"]))[0].delivered == 0
        assert await store.claim(claim_events, Claim(NOW * 2, NOW * 2, "l", 1), with_asset=False) == []

    async def test_changes_while_events_come(self, store: Store) -> None:
        """Events that are settled from now on go by the new plan; deliveries that are there stay."""
        (before,) = await settled(store, completed("gen_1", None))
        store.reroute(("late",), everywhere)
        (after,) = await settled(store, completed("gen_2", None), at=NOW + 10)
        assert store.destinations == ("late",)
        assert ids(await due(store, "late", at=NOW + 10)) == [after]
        assert ids(await due(store, "images", at=NOW + 10)) == [before]

    async def test_route_sees_asset_and_submission(self, url: str, ledger: StoreLedger) -> None:
        """Whoever routes is given everything that the message is made of."""
        seen: list[Candidate] = []

        def look(candidate: Candidate, names: Sequence[str]) -> Sequence[str]:
            seen.append(candidate)
            return everywhere(candidate, names)

        ledger.begin(a_submission(generation_id=f"gen_{NOW}", state="submitted"))
        looking = Store(url, destinations=("images",), route=look)
        await settled(looking, completed("gen_1", None), asset=MIRRORED)
        looking.close()
        assert (seen[0].asset, seen[0].submission) == (
            MIRRORED,
            {"client_ref": "order-1", "metadata": {"team": "ads"}},
        )


def a_submission(**fields: object) -> Submission:
    made = Submission(
        "order-1",
        "image",
        {"prompt": "A futuristic city at sunset"},
        "sending",
        metadata={"team": "ads"},
        sent_at=(NOW - 500) / 1000,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


class TestUndecided:
    async def test_an_answer_that_comes_later_decides(self, store: Store, ledger: StoreLedger) -> None:
        """A webhook that overtook the answer to its request is held for every filter, and told whole then."""
        ledger.begin(a_submission())
        await settled(store, completed("gen_1", None))
        assert await due(store, "ads") == []
        ledger.settle("order-1", state="submitted", generation_id=f"gen_{NOW}")
        (job,) = await due(store, "ads", at=NOW + 1)
        assert job.undecided
        assert job.submission == {"client_ref": "order-1", "metadata": {"team": "ads"}}

    async def test_unwanted_is_no_delivery(self, store: Store, ledger: StoreLedger) -> None:
        """What the filter refuses in the end leaves nothing behind, and only its lease can say so."""
        ledger.begin(a_submission())
        await settled(store, completed("gen_1", None))
        (slow,) = await due(store, "ads", at=NOW + 10_000)
        (job,) = await due(store, "ads", at=NOW + 10_000 + LEASE_MS)
        assert not await store.settle(DeliveryUnwanted(slow))
        assert await store.settle(DeliveryUnwanted(job))
        with store.engine.begin() as connection:
            assert connection.execute(select(DELIVERY.c.destination)).scalars().all() == ["images"]

    async def test_usually_decided_at_once(self, store: Store) -> None:
        """Without a request that is open, nothing has to be asked again."""
        await settled(store, completed("gen_1", None))
        assert [job.undecided for job in await due(store, "images")] == [False]


class TestBackfill:
    async def test_makes_what_was_missed(self, store: Store) -> None:
        """A new destination gets all that was settled, under the same ids, with the mirrored assets."""
        told = await settled(store, *(completed(f"gen_{n}", None) for n in range(5)), asset=MIRRORED)
        assert await backfill(store, Past("late")) == [Backfilled(5, 5, 0, told[-1])]
        jobs = await due(store, "late")
        assert ids(jobs) == told
        assert {job.asset for job in jobs} == {MIRRORED}

    async def test_twice_makes_nothing_more(self, store: Store) -> None:
        """What is there is left alone, delivered or not: an interrupted run is simply repeated."""
        told = await settled(store, *(completed(f"gen_{n}", None) for n in range(5)))
        await store.backfill(Past("late"), Stretch(NOW, 2), route=ROUTE)
        for job in await due(store, "late"):
            await store.settle(DeliveryConfirmed(job, NOW))
        assert await backfill(store, Past("late")) == [Backfilled(5, 3, 2, told[-1])]
        assert await backfill(store, Past("late")) == [Backfilled(5, 0, 5, told[-1])]
        assert ids(await due(store, "late")) == told[2:]

    async def test_page_by_page(self, store: Store) -> None:
        """Pages are bounded, none overlaps, and together they are everything."""
        told = await settled(store, *(completed(f"gen_{n}", None) for n in range(7)))
        pages = await backfill(store, Past("late"), limit=3)
        assert [page.created for page in pages] == [3, 3, 1]
        assert [page.last for page in pages] == [told[2], told[5], told[6]]

    async def test_routed_like_new_events(self, store: Store) -> None:
        """The destination's own options choose."""
        await settled(store, completed("gen_1", None, type="video"), completed("gen_2", None))
        (page,) = await backfill(store, Past("images"))
        assert (page.events, page.created, page.existing) == (2, 0, 1)

    async def test_since_and_until(self, store: Store) -> None:
        """The range is by time of receipt: the first moment is in it, the last is not."""
        told = await settled(store, *(completed(f"gen_{n}", None) for n in range(5)))
        await backfill(store, Past("late", since_ms=NOW + 1, until_ms=NOW + 3))
        assert ids(await due(store, "late")) == told[1:3]

    async def test_dry_run_writes_nothing(self, store: Store) -> None:
        """It counts what would be made."""
        await settled(store, completed("gen_1", None), completed("gen_2", None))
        done = await store.backfill(Past("late"), Stretch(NOW), route=ROUTE, dry_run=True)
        assert (done.events, done.created) == (2, 2)
        assert await due(store, "late") == []

    async def test_only_what_is_settled(self, store: Store) -> None:
        """What waits for its asset comes by itself; a late failure never goes anywhere."""
        (done,) = await settled(store, completed("gen_1", None))
        late = NewEvent(
            event_id(NOW, b"9" * 10), "photoverse", f"gen_{NOW}", FAILED, None, b"{}", "webhook", NOW
        )
        waiting = NewEvent(
            event_id(NOW, b"8" * 10), "photoverse", "gen_w", COMPLETED, None, b"{}", "webhook", NOW
        )
        for entry in (late, waiting):
            await store.record(entry)
        await backfill(store, Past("late"))
        assert ids(await due(store, "late")) == [done]

    async def test_tells_the_submission(self, store: Store, ledger: StoreLedger) -> None:
        """The message says what is known by now of the submission, and the filter sees it."""
        await settled(store, completed("gen_1", None))
        ledger.begin(a_submission(generation_id=f"gen_{NOW}", state="submitted"))
        (page,) = await backfill(store, Past("ads"))
        (job,) = await due(store, "ads")
        assert page.created == 1
        assert job.submission == {"client_ref": "order-1", "metadata": {"team": "ads"}}

    async def test_waits_for_the_submission(self, store: Store, ledger: StoreLedger) -> None:
        """An event that one may still answer is held back as a new one is, for a few seconds."""
        told = await settled(store, completed("gen_1", None))
        ledger.begin(a_submission())
        await backfill(store, Past("late"))
        assert await due(store, "late") == []
        assert ids(await due(store, "late", at=NOW + HOLD_MS)) == told

    async def test_live_events_go_first(self, store: Store, url: str) -> None:
        """However much was backfilled before, a new event is in the next batch, and the oldest follow."""
        past = await settled(store, *(completed(f"gen_{n}", None) for n in range(20)))
        await backfill(store, Past("late"))
        live = Store(url, destinations=("late",))
        (new,) = await settled(live, completed("gen_new", None), at=NOW + HOUR_MS)
        live.close()
        assert ids(await due(store, "late", at=NOW + HOUR_MS, limit=3)) == [new, *past[:2]]
        assert ids(await due(store, "late", at=NOW + HOUR_MS, limit=2)) == past[2:4]

    async def test_operators_see_it_due_since_it_came(self, store: Store) -> None:
        """What waits behind everything else is listed with a time that there is."""
        await settled(store, completed("gen_1", None))
        await backfill(store, Past("late"))
        page = await store.transact(find_deliveries, Filter(destination="late"))
        assert [row.due_ms for row in page.rows] == [NOW]

    async def test_wakes_the_forwarders(self, store: Store) -> None:
        """Workers need no poll to find what was made; a dry run wakes nobody."""
        await settled(store, completed("gen_1", None))
        woken = store.wake.subscribe("forward")
        await store.backfill(Past("late"), Stretch(NOW), route=ROUTE, dry_run=True)
        assert not woken.is_set()
        await backfill(store, Past("late"))
        assert woken.is_set()

    async def test_two_at_once(self, store: Store, url: str) -> None:
        """Two runs at the same time make each delivery once."""
        told = await settled(store, *(completed(f"gen_{n}", None) for n in range(30)))
        other = Store(url)
        await asyncio.gather(*(backfill(one, Past("late"), limit=7) for one in (store, other)))
        other.close()
        assert ids(await due(store, "late")) == told


class TestCountMissed:
    async def test_new_destination(self, store: Store) -> None:
        """A destination that got nothing has missed what was settled; one that got something has not."""
        assert await store.transact(count_missed, "late") == 0
        await settled(store, completed("gen_1", None), completed("gen_2", None))
        assert await store.transact(count_missed, "late") == 2
        assert await store.transact(count_missed, "images") == 0
        await backfill(store, Past("late", until_ms=NOW + 1))
        assert await store.transact(count_missed, "late") == 0


class TestQueryPlan:
    async def test_claims_and_pages_read_an_index(self, store: Store) -> None:
        """What is live, what was backfilled, and a page of the past are each found by an index."""
        seen: list[tuple[str, Any]] = []
        listen(store.engine, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
        await due(store, "late")
        await store.backfill(Past("late", NOW), Stretch(NOW), route=ROUTE)
        live, past, page = (one for one in seen if one[0].startswith("SELECT"))
        for query, index in ((live, "ix_delivery_due"), (past, "ix_delivery_due"), (page, PRIMARY_KEY)):
            with store.engine.begin() as connection:
                if not store.is_embedded:
                    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
                explain = "EXPLAIN QUERY PLAN " if store.is_embedded else "EXPLAIN "
                plan = connection.exec_driver_sql(explain + query[0], query[1]).all()
            assert re.search(index, str(plan)), plan
            assert "TEMP B-TREE" not in str(plan)
