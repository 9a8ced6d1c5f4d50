"""The worker's life, over a real SQLite store."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import select

from receiver.clock import now_ms
from receiver.deliver import ForwardResult
from receiver.errors import StoreUnavailable
from receiver.events import Asset, event_id
from receiver.mirror import MirrorResult
from receiver.store import Store
from receiver.store.jobs import DeliveryJob, EventJob, LateJob
from receiver.store.late import LateGivenUp, LateSettlement
from receiver.store.record import NewEvent
from receiver.store.settlements import DeliveryConfirmed, EventSettled
from receiver.store.tables import DELIVERY, EVENT, LATE_ASSET
from receiver.store.wake import MIRROR
from receiver.worker.forwarding import Outlet
from receiver.worker.run import Timing, Worker, offer_backfill
from tests.stored import migrated
from tests.unit.work import BODY
from tests.unit.worker.scripted import Transacting
from tests.unit.worker.whole import worker_on
from tests.waiting.aio import until

LONG_S = 60.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(migrated(tmp_path / "receiver.db"), destinations=("orders", "audit"))
    yield opened
    opened.close()


@dataclass
class Hands:
    """Does the worker's work, or holds it up."""

    mirrored: list[EventJob] = field(default_factory=list)
    sent: dict[str, list[DeliveryJob]] = field(default_factory=lambda: {"orders": [], "audit": []})
    may_mirror: asyncio.Event = field(default_factory=asyncio.Event)
    may_send: dict[str, asyncio.Event] = field(
        default_factory=lambda: {"orders": asyncio.Event(), "audit": asyncio.Event()}
    )

    async def mirror(self, job: EventJob) -> MirrorResult:
        self.mirrored.append(job)
        await self.may_mirror.wait()
        return EventSettled(job, None, now_ms())

    def outlet(self, name: str) -> Outlet:
        async def forward(jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
            self.sent[name] += jobs
            await self.may_send[name].wait()
            return [DeliveryConfirmed(job, now_ms()) for job in jobs]

        return Outlet(name, 10, forward)

    def free(self) -> None:
        for event in (self.may_mirror, *self.may_send.values()):
            event.set()


@pytest.fixture
def hands() -> Hands:
    return Hands()


async def record(
    store: Store,
    generation_id: str = "gen_1",
    *,
    host: str | None = "cdn.example.com",
    source: str = "photoverse",
) -> str:
    new_id = event_id(now_ms(), secrets.token_bytes(10))
    entry = NewEvent(new_id, source, generation_id, "generation.completed", host, BODY, "webhook", now_ms())
    await store.record(entry)
    return new_id


def a_worker(store: Store, hands: Hands, **timing: float) -> Worker:
    outlets = [hands.outlet("orders"), hands.outlet("audit")]
    return worker_on(store, hands.mirror, outlets, timing=Timing(**{"poll_s": LONG_S, **timing}))


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        worker.stop()
        async with asyncio.timeout(10):
            await task


def rows(store: Store, table: Any) -> list[Any]:
    with store.engine.begin() as connection:
        return list(connection.execute(select(table)).all())


def _counting(counted: Counter[str], name: str) -> Callable[..., Awaitable[Any]]:
    original = getattr(Store, name)

    async def count(*args: Any, **kwargs: Any) -> Any:
        counted[name] += 1
        return await original(*args, **kwargs)

    return count


class TestWorker:
    async def test_signals_carry_an_event_through(self, store: Store, hands: Hands) -> None:
        """From record to confirmed delivery without a single poll."""
        hands.free()
        async with running(a_worker(store, hands)):
            new_id = await record(store)
            await until(lambda: {row.state for row in rows(store, DELIVERY)} == {"delivered"})
        assert [job.id for job in hands.mirrored] == [new_id]
        assert [[job.event_id for job in sent] for sent in hands.sent.values()] == [[new_id], [new_id]]

    async def test_takes_up_what_was_left(self, store: Store, hands: Hands) -> None:
        """What was recorded while no worker ran is worked on at its start, though nobody signals."""
        hands.free()
        await record(store)
        await record(store, "gen_2", host=None)
        async with running(a_worker(store, hands)):
            await until(lambda: len(hands.sent["orders"]) == 2)

    async def test_tells_of_a_destination_without_a_past(self, store: Store, hands: Hands) -> None:
        """A destination that came after the events is told of once, at the start."""
        hands.free()
        before = Store(store.engine.url.render_as_string(hide_password=False), destinations=("orders",))
        async with running(worker_on(before, hands.mirror, [hands.outlet("orders")])):
            await record(before)
            await until(lambda: hands.sent["orders"])
        before.close()
        with structlog.testing.capture_logs() as lines:
            async with running(a_worker(store, hands)):
                await until(
                    lambda: [line for line in lines if line["event"] == "destination has missed events"]
                )
        told = [line for line in lines if line["event"] == "destination has missed events"]
        assert [(line["destination"], line["events"]) for line in told] == [("audit", 1)]

    async def test_polls_for_what_another_process_recorded(self, store: Store, hands: Hands) -> None:
        """On SQLite no signal comes from another process; the poll finds its events."""
        hands.free()
        other = Store(store.engine.url.render_as_string(hide_password=False))
        async with running(a_worker(store, hands, poll_s=0.02)):
            await record(store)
            await until(lambda: hands.sent["orders"])
            await record(other, "gen_2")
            await until(lambda: len(hands.sent["orders"]) == 2)
        other.close()

    async def test_nothing_is_claimed_while_nothing_is_due(
        self, store: Store, hands: Hands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However often it polls: a look takes no lock and a claim does."""
        calls = Counter[str]()
        for name in ("look", "claim", "settle_due"):
            monkeypatch.setattr(Store, name, _counting(calls, name))
        async with running(a_worker(store, hands, poll_s=0.005)):
            await until(lambda: calls["look"] > 50)
        # Each duty once, and once more if told to stop while it looked.
        assert calls["claim"] <= 6
        assert calls["settle_due"] <= 2

    async def test_hanging_destination_delays_no_other(self, store: Store, hands: Hands) -> None:
        """Invariant 10: with one destination hanging the other gets everything."""
        hands.may_mirror.set()
        hands.may_send["audit"].set()
        async with running(a_worker(store, hands)):
            for number in range(5):
                await record(store, f"gen_{number}")
                await until(lambda number=number: len(hands.sent["audit"]) == number + 1)  # type: ignore[misc]
            assert len(hands.sent["orders"]) == 1
            hands.free()

    async def test_hanging_asset_delays_no_event_without(self, store: Store, hands: Hands) -> None:
        """Invariant 10: events that have nothing to fetch pass those that wait for an asset."""
        hands.may_send["orders"].set()
        hands.may_send["audit"].set()

        async def mirror(job: EventJob) -> MirrorResult:
            if job.asset_host:
                await hands.may_mirror.wait()
            return EventSettled(job, None, now_ms())

        worker = worker_on(store, mirror, [hands.outlet("orders")], timing=Timing(poll_s=LONG_S))
        async with running(worker):
            await record(store, "gen_slow")
            without = await record(store, "gen_none", host=None)
            await until(lambda: [job.event_id for job in hands.sent["orders"]] == [without])
            hands.may_mirror.set()

    async def test_hanging_late_assets_delay_no_event(self, store: Store, hands: Hands) -> None:
        """Late assets that hang, more than may be under way, take nothing from the events that come."""
        hands.free()
        hanging: list[LateJob] = []

        async def mirror_late(job: LateJob) -> LateSettlement:
            hanging.append(job)
            await asyncio.Event().wait()
            return LateGivenUp(job, "timeout")

        async def give_up(job: EventJob) -> MirrorResult:
            at = now_ms()
            return EventSettled(job, Asset("failed", error="timeout", retried_until_ms=at + 60_000), at, at)

        worker = a_worker(store, hands, poll_s=0.02, drain_s=0.1)
        async with running(replace(worker, mirror=give_up, _stop=asyncio.Event())):
            for number in range(8):
                await record(store, f"late_{number}", host=f"host{number}")
            await until(lambda: len(rows(store, LATE_ASSET)) == 8)
        async with running(replace(worker, mirror_late=mirror_late)):
            await until(lambda: len(hanging) == 4)
            event_id = await record(store)
            await until(lambda: event_id in [job.event_id for job in hands.sent["orders"]])
        assert len(hanging) == 4
        assert [row.lease for row in rows(store, LATE_ASSET)] == [None] * 8

    @pytest.mark.parametrize("dead", ["acme", "photoverse"])
    async def test_hanging_bucket_delays_no_other(self, store: Store, hands: Hands, dead: str) -> None:
        """Invariant 10: uploads into one bucket that hang, from many hosts, leave another bucket's alone."""
        hands.free()
        hanging: list[EventJob] = []

        async def mirror(job: EventJob) -> MirrorResult:
            if job.source == dead:
                hanging.append(job)
                await asyncio.Event().wait()
            return EventSettled(job, None, now_ms())

        for number in range(64):
            await record(store, f"gen_{number}", host=f"cdn{number % 8}.example.com", source=dead)
        worker = replace(a_worker(store, hands, drain_s=0.05), mirror=mirror, with_own_bucket=["acme"])
        async with running(worker):
            await until(lambda: len(hanging) == worker.limits.at_once)
            (living,) = {"acme", "photoverse"} - {dead}
            event_id = await record(store, host="cdn0.example.com", source=living)
            await until(lambda: [job.event_id for job in hands.sent["orders"]] == [event_id])

    async def test_hanging_bucket_delays_no_late_asset_of_another(self, store: Store, hands: Hands) -> None:
        """Invariant 10, for late assets too: they have few places, and each bucket its own."""
        came = asyncio.Event()

        async def mirror_late(job: LateJob) -> LateSettlement:
            if job.source == "photoverse":
                came.set()
            await asyncio.Event().wait()
            return LateGivenUp(job, "timeout")

        async def give_up(job: EventJob) -> MirrorResult:
            at = now_ms()
            return EventSettled(job, Asset("failed", error="timeout", retried_until_ms=at + 60_000), at, at)

        worker = replace(
            a_worker(store, hands, poll_s=0.02, drain_s=0.05), mirror=give_up, with_own_bucket=["acme"]
        )
        async with running(replace(worker, _stop=asyncio.Event())):
            for number in range(8):
                await record(store, f"late_{number}", host=f"host{number}", source="acme")
            await until(lambda: len(rows(store, LATE_ASSET)) == 8)
            await record(store)
            await until(lambda: len(rows(store, LATE_ASSET)) == 9)
        async with running(replace(worker, mirror_late=mirror_late)):
            await until(came.is_set)

    async def test_renews_while_it_works(self, store: Store, hands: Hands) -> None:
        """Work that outlasts its lease is done once."""
        async with running(a_worker(store, hands, lease_s=3, poll_s=0.02)):
            await record(store)
            await until(lambda: hands.mirrored)
            began = time.monotonic()
            await until(lambda: time.monotonic() - began > 3.5)
            assert len(hands.mirrored) == 1
            hands.free()
            await until(lambda: hands.sent["orders"])
        assert rows(store, EVENT)[0].attempts == 1

    async def test_stop_finishes_what_is_under_way(self, store: Store, hands: Hands) -> None:
        """Told to stop, it finishes and settles what it began."""
        worker = a_worker(store, hands)
        async with running(worker) as task:
            await record(store)
            await until(lambda: hands.mirrored)
            worker.stop()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(task), 0.05)
            hands.free()
        assert [row.state for row in rows(store, EVENT)] == ["settled"]

    @pytest.mark.parametrize("where", ["mirror", "orders"])
    async def test_gives_back_what_it_cannot_finish(self, store: Store, hands: Hands, where: str) -> None:
        """After the drain time the rest is due at once for others, and has cost no attempt."""
        if where == "orders":
            hands.may_mirror.set()
        worker = a_worker(store, hands, drain_s=0.05)
        async with running(worker):
            await record(store)
            await until(lambda: hands.mirrored if where == "mirror" else hands.sent["orders"])
        table = EVENT if where == "mirror" else DELIVERY
        left = [row for row in rows(store, table) if row.state == "pending"]
        assert left
        assert {(row.lease, row.attempts) for row in left} == {(None, 0)}
        assert all(row.due_ms <= now_ms() for row in left)

    async def test_leaves_no_task_behind(self, store: Store, hands: Hands) -> None:
        """When `run` has returned nothing of the worker runs any more, not even what it had to cut short."""
        before = asyncio.all_tasks()
        async with running(a_worker(store, hands, drain_s=0.05)):
            await record(store)
            await until(lambda: hands.mirrored)
        assert asyncio.all_tasks() == before

    async def test_stuck_claim_does_not_orphan_the_mirrors(
        self, store: Store, hands: Hands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If a claim hangs as the drain time ends, what is being mirrored is given back all the same."""
        claimed = asyncio.Event()
        claim = Store.claim

        async def claim_once(self: Store, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("with_asset") and hands.mirrored:
                claimed.set()
                await asyncio.Event().wait()
            return await claim(self, *args, **kwargs)

        monkeypatch.setattr(Store, "claim", claim_once)
        before = asyncio.all_tasks()
        async with running(a_worker(store, hands, drain_s=0.05)):
            await record(store)
            await until(lambda: hands.mirrored)
            store.wake.signal(MIRROR)
            await until(claimed.is_set)
        try:
            assert asyncio.all_tasks() == before
            assert [row.lease for row in rows(store, EVENT)] == [None]
        finally:
            for task in asyncio.all_tasks() - before:
                task.cancel()

    async def test_dead_store_at_the_end(
        self, store: Store, hands: Hands, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If the database is gone when work is to be given back, the worker still ends in good order."""

        def release(_connection: object, _leases: object, *, now_ms: int) -> None:
            raise StoreUnavailable(f"down at {now_ms}")

        monkeypatch.setattr("receiver.worker.leases.release", release)
        async with running(a_worker(store, hands, drain_s=0.05)):
            await record(store)
            await until(lambda: hands.mirrored)

    async def test_says_that_it_runs(self, store: Store, hands: Hands) -> None:
        """Operators see it start, with its destinations, and stop."""
        with structlog.testing.capture_logs() as lines:
            async with running(a_worker(store, hands)):
                await until(lambda: lines)
        assert [line["event"] for line in lines] == ["worker started", "worker stopped"]
        assert lines[0]["destinations"] == ["orders", "audit"]


class Missed(Transacting):
    """A store that counts what each destination missed, or fails."""

    def __init__(self, error: StoreUnavailable | None = None, **missed: int) -> None:
        self._error = error
        self._missed = missed

    async def count_missed(self, destination: str) -> int:
        if self._error:
            raise self._error
        return self._missed[destination]


async def told(store: Any, *destinations: str) -> list[dict[str, object]]:
    with structlog.testing.capture_logs() as lines:
        await offer_backfill(store, destinations)
    return [dict(line) for line in lines]


class TestOfferBackfill:
    async def test_names_the_command(self) -> None:
        """Each destination that missed something is told of once, with how much and what to run."""
        assert await told(Missed(old=0, new=42), "old", "new") == [
            {
                "event": "destination has missed events",
                "log_level": "info",
                "destination": "new",
                "events": 42,
                "to_see_them": "receiver destinations backfill new --dry-run",
            }
        ]

    async def test_failing_store_stops_nobody(self) -> None:
        """It is only advice: the worker starts without it."""
        assert await told(Missed(StoreUnavailable("down")), "new") == []
