"""The duty of reconciling: when, and by whom."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog.testing

from receiver import clock
from receiver.client import Generation, GenerationPage, InvalidApiKey, ServerError
from receiver.mirror import MirrorResult
from receiver.store import Store
from receiver.store.jobs import EventJob
from receiver.worker.leases import Leases
from receiver.worker.reconcile_pass import Account
from receiver.worker.reconciling import ReconcileRules, Reconciling
from receiver.worker.run import Timing
from tests.stored import migrated
from tests.unit.worker.listing import Listing, row
from tests.unit.worker.test_reconcile_pass import submitted
from tests.unit.worker.whole import worker_on
from tests.waiting.aio import until

SOURCE = "photoverse"
HOUR_MS = 3_600_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(migrated(tmp_path / "receiver.db"))
    yield opened
    opened.close()


def reconciling(store: Store, listing: Listing, *, interval_s: float = 300.0) -> Reconciling:
    rules = ReconcileRules(interval_s=interval_s)
    return Reconciling(store, Leases(store, lease_s=60), Account(SOURCE, listing), rules)


class Stuck(Listing):
    """A provider that does not answer."""

    async def list(self, *, limit: int, offset: int) -> GenerationPage:
        self.asked.append((limit, offset))
        return await asyncio.Future()


async def unused(job: EventJob) -> MirrorResult:
    raise AssertionError(job)


class TestTurn:
    async def test_not_again_before_its_time(self, store: Store) -> None:
        """After a pass the next is due an interval later, unless someone asks for it at once."""
        listing = Listing()
        duty = reconciling(store, listing)
        assert await duty.turn(at_once=False)
        assert await duty.turn(at_once=False) is None
        assert await duty.turn(at_once=True)
        assert len(listing.asked) == 2

    async def test_one_worker_of_many(self, store: Store) -> None:
        """While one worker is at it the others are not, at once or not."""
        stuck = Stuck()
        busy = asyncio.create_task(reconciling(store, stuck).turn(at_once=True))
        await until(lambda: stuck.asked)
        other = Listing()
        assert await reconciling(store, other).turn(at_once=True) is None
        assert other.asked == []
        busy.cancel()
        await asyncio.wait([busy])

    async def test_looks_back_the_first_time(self, store: Store) -> None:
        """The first pass ever begins a day ago, not with the account's whole history."""
        report = await reconciling(store, Listing()).turn(at_once=True)
        again = await reconciling(store, Listing()).turn(at_once=True)
        assert report is not None
        assert again is not None
        assert again.since_ms == report.since_ms


class TestLine:
    """Submissions that no list shows, looked at one by one; each pass by a worker that was just started."""

    async def test_unknown_ones_hide_no_others(self, store: Store) -> None:
        """Those that the provider does not know are asked for once, and not in every pass."""
        now_ms = clock.now_ms()
        submitted(store, *range(25), sent_ms=now_ms - HOUR_MS)
        listing = Listing([row(25, at_ms=now_ms)], hidden={"gen_25"})
        submitted(store, 25, sent_ms=now_ms)
        for _ in range(3):
            await reconciling(store, listing).turn(at_once=True)
        assert sorted(listing.got) == sorted(f"gen_{n}" for n in range(26))
        assert listing.got[-1] == "gen_25"

    async def test_unfinished_ones_take_turns(self, store: Store) -> None:
        """Those still in the making are looked at in turn."""
        now_ms = clock.now_ms()
        submitted(store, *range(25), sent_ms=now_ms - HOUR_MS)
        rows = [row(n, "processing", at_ms=now_ms) for n in range(25)]
        listing = Listing(rows, hidden={each["id"] for each in rows})
        for _ in range(2):
            await reconciling(store, listing).turn(at_once=True)
        assert set(listing.got) == {each["id"] for each in rows}

    async def test_failing_one_holds_up_no_others(self, store: Store) -> None:
        """One that the provider fails at ends the pass, and is last in line in the next."""

        class Failing(Listing):
            async def get(self, generation_id: str) -> Generation:
                if generation_id == "gen_0":
                    self.got.append(generation_id)
                    raise ServerError("down")
                return await super().get(generation_id)

        submitted(store, 0, 1, sent_ms=clock.now_ms() - HOUR_MS)
        listing = Failing()
        first = await reconciling(store, listing).turn(at_once=True)
        await reconciling(store, listing).turn(at_once=True)
        assert first is not None
        assert isinstance(first.failure, ServerError)
        assert listing.got == ["gen_0", "gen_1", "gen_0"]


class TestRun:
    async def test_at_start_and_again(self, store: Store) -> None:
        """A worker reconciles at once and then every interval, and says what came of it."""
        listing = Listing()
        with structlog.testing.capture_logs() as lines:
            running = asyncio.create_task(reconciling(store, listing, interval_s=0.01).run())
            await until(lambda: len(lines) >= 3)
            running.cancel()
            await asyncio.wait([running])
        assert {line["event"] for line in lines} == {"reconciled"}

    @pytest.mark.parametrize(
        ("error", "event"),
        [(InvalidApiKey("who?"), "not reconciled"), (RuntimeError("bug"), "reconcile crashed")],
    )
    async def test_goes_on_after_a_failure(self, store: Store, error: Exception, event: str) -> None:
        """A provider that refuses, or a bug, is logged; neither ends the worker."""
        listing = Listing(error=error)
        with structlog.testing.capture_logs() as lines:
            running = asyncio.create_task(reconciling(store, listing, interval_s=0.01).run())
            await until(lambda: lines)
            assert not running.done()
            running.cancel()
            await asyncio.wait([running])
        assert lines[0]["event"] == event

    async def test_failing_store_is_asked_again(self, store: Store) -> None:
        """Without a database nothing is reconciled, and the worker waits for it."""
        with store.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE reconcile")
        with structlog.testing.capture_logs() as lines:
            running = asyncio.create_task(reconciling(store, Listing(), interval_s=0.01).run())
            await until(lambda: len(lines) >= 2)
            running.cancel()
            await asyncio.wait([running])
        assert {line["event"] for line in lines} == {"not reconciled"}


class TestWorker:
    async def test_stopping_does_not_wait_for_the_provider(self, store: Store) -> None:
        """A stopping worker cuts a pass off and gives the turn to the next at once."""
        stuck = Stuck()
        worker = worker_on(store, unused, accounts=[Account(SOURCE, stuck)], timing=Timing(drain_s=60))
        running = asyncio.create_task(worker.run())
        await until(lambda: stuck.asked)
        worker.stop()
        async with asyncio.timeout(10):
            await running
        assert await reconciling(store, Listing()).turn(at_once=False)
