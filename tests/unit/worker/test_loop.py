"""Work while there is work, then sleep until woken."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import structlog

from receiver.errors import StoreUnavailable
from receiver.events import Asset
from receiver.mirror import MirrorResult
from receiver.store import Store
from receiver.store.agenda import WITH_ASSET, WITHOUT_ASSET, deliveries_to
from receiver.store.jobs import EventJob
from receiver.store.settlements import EventSettled
from receiver.store.wake import FORWARD, MIRROR
from receiver.worker import loop
from receiver.worker.leases import Leases
from receiver.worker.loop import Lookout, Settling, work_until
from tests.unit.work import NOW, event_job
from tests.unit.worker.scripted import ScriptedStore
from tests.waiting.aio import until

LONG_S = 600.0
WITHIN_S = 60.0


class Duty:
    """Turns that find work as often as they are told."""

    def __init__(self, work: int = 0) -> None:
        self.stop = asyncio.Event()
        self.woken = asyncio.Event()
        self.turns = 0
        self.work = work
        self.errors = 0
        self.during: Callable[[], None] = lambda: None

    async def turn(self) -> bool:
        self.turns += 1
        await asyncio.sleep(0)
        self.during()
        if self.errors:
            self.errors -= 1
            raise StoreUnavailable("down")
        found, self.work = self.work > 0, max(self.work - 1, 0)
        return found

    def start(self, *, poll_s: float = LONG_S) -> "asyncio.Task[None]":
        return asyncio.create_task(work_until(self.stop, self.turn, woken=self.woken, poll_s=poll_s))

    def end(self) -> None:
        self.stop.set()
        self.woken.set()


@pytest.fixture
async def duty() -> AsyncIterator[Duty]:
    offered = Duty()
    yield offered
    offered.end()


class TestWorkUntil:
    async def test_works_as_long_as_there_is_work(self, duty: Duty) -> None:
        """It does not sleep between pieces of work, and sleeps after the last."""
        duty.work = 5
        task = duty.start()
        await until(lambda: duty.turns == 6)
        await asyncio.sleep(0.01)
        assert duty.turns == 6
        duty.end()
        await asyncio.wait_for(task, WITHIN_S)

    async def test_woken(self, duty: Duty) -> None:
        """A signal ends its sleep."""
        duty.start()
        await until(lambda: duty.turns == 1)
        duty.woken.set()
        await until(lambda: duty.turns == 2)

    async def test_signal_during_a_turn_is_not_lost(self, duty: Duty) -> None:
        """Work announced while it looks is looked for again at once."""
        duty.during = lambda: duty.woken.set() if duty.turns == 1 else None
        duty.start()
        await until(lambda: duty.turns == 2)

    async def test_polls(self, duty: Duty) -> None:
        """Without any signal it looks again after the poll interval."""
        duty.start(poll_s=0.01)
        await until(lambda: duty.turns >= 3)

    async def test_stop_during_a_turn(self, duty: Duty) -> None:
        """Told to stop while it works, it finishes that turn and begins no other."""
        duty.work = 100
        duty.during = duty.end
        await asyncio.wait_for(duty.start(), WITHIN_S)
        assert duty.turns == 1

    async def test_stopped_before_it_began(self, duty: Duty) -> None:
        """Stopped already, it does nothing."""
        duty.end()
        await asyncio.wait_for(duty.start(), WITHIN_S)
        assert duty.turns == 0

    async def test_failing_store(self, duty: Duty, monkeypatch: pytest.MonkeyPatch) -> None:
        """A store that fails is asked again after a pause, as often as it takes."""
        monkeypatch.setattr(loop, "_PAUSE_S", 0.02)
        duty.errors = 3
        began = time.monotonic()
        duty.start()
        await until(lambda: duty.turns == 4)
        assert time.monotonic() - began >= 0.05

    async def test_stop_ends_the_pause(self, duty: Duty) -> None:
        """A dead database does not delay the end."""
        duty.errors = 1
        task = duty.start()
        await until(lambda: duty.turns == 1)
        duty.end()
        await asyncio.wait_for(task, WITHIN_S)


class TestLookout:
    async def test_wakes_whose_queue_is_due(self, store: Store, scripted: ScriptedStore) -> None:
        """All duties of that queue, and no other."""
        lookout = Lookout(store, ["orders", "audit"])
        one, two = (lookout.subscribe(MIRROR, WITH_ASSET) for _ in range(2))
        settling = lookout.subscribe(MIRROR, WITHOUT_ASSET)
        orders, audit = (lookout.subscribe(FORWARD, deliveries_to(name)) for name in ("orders", "audit"))
        scripted.due_queues = [WITH_ASSET, deliveries_to("audit")]
        assert not await lookout.turn()
        woken = [each.is_set() for each in (one, two, settling, orders, audit)]
        assert woken == [True, True, False, False, True]

    async def test_signals_wake_as_before(self, store: Store) -> None:
        """A signal of this process waits for no look."""
        lookout = Lookout(store, ["orders"])
        settling = lookout.subscribe(MIRROR, WITHOUT_ASSET)
        store.wake.signal(MIRROR)
        assert settling.is_set()


def jobs(count: int) -> list[EventJob]:
    return [replace(event_job(host=None), id=f"event-{number}") for number in range(count)]


async def in_vain(job: EventJob) -> MirrorResult:
    return EventSettled(job, Asset("failed", error="no_url"), NOW)


class TestSettling:
    async def test_takes_more_while_there_is_more(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """Places are kept for few events, until many wait."""
        scripted.events = jobs(1000)
        settling = Settling(store, leases, in_vain)
        while await settling.turn():
            pass
        for _ in range(2):
            await settling.turn()
        assert len(scripted.settled) == 1000
        first, *_, last = [claim.limit for claim in scripted.claims]
        assert (first, max(claim.limit for claim in scripted.claims), last) == (8, 500, 8)

    async def test_what_an_asset_is_expected_of(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """Its fate is what the mirror says, under the lease it was claimed with."""
        scripted.events = jobs(2)
        scripted.in_vain = {"event-1"}
        with structlog.testing.capture_logs() as lines:
            # Fewer than it asked for: nothing is left, and who records more says so.
            assert not await Settling(store, leases, in_vain).turn()
        assert [(line["event"], line["event_id"]) for line in lines] == [
            ("no asset", "event-0"),
            ("asset given up", "event-1"),
        ]
        assert {one.job.lease for one in scripted.settled} == {scripted.claims[0].lease}
