"""Forwarding the due deliveries of one destination."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
import structlog.testing

from receiver.deliver import ForwardResult
from receiver.errors import StoreUnavailable
from receiver.outcomes import Delivered, Outcome, Parked, Retry
from receiver.store import (
    DeliveryConfirmed,
    DeliveryDead,
    DeliveryJob,
    DeliveryPostponed,
    DeliveryUnwanted,
    Store,
)
from receiver.telemetry import metrics
from receiver.worker.breaker import Breaker, BreakerRules
from receiver.worker.forwarding import Forwarding, Outlet
from receiver.worker.leases import Leases
from receiver.worker.rate import TokenBucket
from tests.unit.work import NOW, delivery_job
from tests.unit.worker.scripted import ScriptedStore, until


def confirm(job: DeliveryJob) -> ForwardResult:
    return DeliveryConfirmed(job, NOW)


def outlet(*, result: Callable[[DeliveryJob], ForwardResult] = confirm, max_batch: int = 3) -> Outlet:
    async def forward(jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
        return [result(job) for job in jobs]

    return Outlet("orders", max_batch, forward)


class TestTurn:
    async def test_a_batch_at_a_time(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """Each turn sends no more than the destination takes at once, and says whether there was any."""
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(5)]
        forwarding = Forwarding(store, leases, outlet())
        sizes = []
        while await forwarding.turn():
            sizes.append(len(scripted.settled))
        assert sizes == [3, 5]
        assert {claim.limit for claim in scripted.claims} == {3}

    async def test_each_result_is_settled(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """Every job of a batch ends by itself, under the lease it was claimed with."""
        ends: dict[str, Callable[[DeliveryJob], ForwardResult]] = {
            "event-0": lambda job: DeliveryConfirmed(job, NOW, receipt="7:42"),
            "event-1": lambda job: DeliveryPostponed(job, NOW, "busy"),
            "event-2": lambda job: DeliveryDead(job, NOW, "http_422"),
            "event-3": DeliveryUnwanted,
        }
        scripted.deliveries = [delivery_job(event_id) for event_id in ends]
        with structlog.testing.capture_logs() as lines:
            ending = outlet(result=lambda job: ends[job.event_id](job), max_batch=4)
            await Forwarding(store, leases, ending).turn()
        assert [type(one) for one in scripted.settled] == [
            DeliveryConfirmed,
            DeliveryPostponed,
            DeliveryDead,
            DeliveryUnwanted,
        ]
        assert {one.job.lease for one in scripted.settled} == {scripted.claims[0].lease}
        assert lines[0]["receipt"] == "7:42"
        assert [(line["event"], line["log_level"]) for line in lines] == [
            ("forwarded", "info"),
            ("forward postponed", "warning"),
            ("dead letter", "error"),
            ("unwanted", "info"),
        ]

    @pytest.mark.parametrize(
        ("result", "outcome"),
        [
            (confirm, "delivered"),
            (lambda job: DeliveryPostponed(job, NOW, "busy"), "postponed"),
            (lambda job: DeliveryPostponed(job, NOW, "down", parked=True), "parked"),
            (lambda job: DeliveryDead(job, NOW, "no"), "dead"),
        ],
    )
    async def test_is_counted(
        self,
        store: Store,
        leases: Leases,
        scripted: ScriptedStore,
        result: Callable[[DeliveryJob], ForwardResult],
        outcome: str,
    ) -> None:
        """Attempts are counted by destination and outcome."""
        counter = metrics.FORWARDS.labels("orders", outcome)
        before = counter._value.get()
        scripted.deliveries = [delivery_job()]
        await Forwarding(store, leases, outlet(result=result)).turn()
        assert counter._value.get() == before + 1

    async def test_failing_store_after_sending(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """What was sent and cannot be settled is left to its lease, and is not counted as delivered."""
        scripted.deliveries = [delivery_job()]
        scripted.settle_error = StoreUnavailable("down")
        with structlog.testing.capture_logs() as lines:
            assert await Forwarding(store, leases, outlet()).turn()
        assert [line["event"] for line in lines] == ["not settled"]

    async def test_holds_the_lease_while_sending(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """A slow destination keeps its batch; cut short, the batch is given back."""
        sending = asyncio.Event()

        async def forward(_jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
            sending.set()
            await asyncio.Event().wait()
            return []

        scripted.deliveries = [delivery_job()]
        forwarding = Forwarding(store, leases, Outlet("orders", 3, forward))
        turn = asyncio.create_task(forwarding.turn())
        await sending.wait()
        assert leases._held == {scripted.claims[0].lease}
        turn.cancel()
        await asyncio.wait([turn])
        await forwarding.abandon()
        await leases.give_back()
        assert scripted.released == [{scripted.claims[0].lease}]

    async def test_only_its_own_destination(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """Another destination's deliveries are not its business."""
        scripted.deliveries = [delivery_job()]
        other = Outlet("audit", 3, outlet().forward)
        assert not await Forwarding(store, leases, other).turn()
        assert len(scripted.deliveries) == 1

    async def test_several_batches_at_once(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """As many batches are under way as the outlet allows, each under a lease of its own; not one more."""
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(9)]
        hold = Held()
        forwarding = Forwarding(store, leases, Outlet("orders", 2, hold.forward, concurrency=3))
        assert await forwarding.turn()
        assert await forwarding.turn()
        third = asyncio.create_task(forwarding.turn())
        await until(lambda: len(hold.sent) == 3)
        assert len(leases._held) == 3
        assert not third.done(), "there is no room for a fourth"
        hold.release.set()
        assert await third
        await forwarding.drain()
        assert len(scripted.settled) == 6
        assert leases._held == set()

    async def test_room_is_worth_a_turn(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """A batch that ends wakes whoever waited for room."""
        woken = asyncio.Event()
        scripted.deliveries = [delivery_job()]
        await Forwarding(store, leases, outlet(), woken=woken).turn()
        await until(woken.is_set)


class TestRate:
    async def test_claims_no_more_than_may_be_sent(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """A limited destination gets what the bucket holds, and what found no message stays in it."""
        clock = Clock()
        woken = asyncio.Event()
        limited = Outlet("orders", 50, outlet().forward, rate=TokenBucket(4, clock=clock))
        forwarding = Forwarding(store, leases, limited, woken=woken)
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(3)]
        assert await forwarding.turn()
        assert not await forwarding.turn()
        assert [claim.limit for claim in scripted.claims] == [4, 1]
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(3, 9)]
        assert await forwarding.turn()
        assert not await forwarding.turn(), "the bucket is empty, and nothing is claimed"
        assert len(scripted.settled) == 4
        clock.now += 0.5
        assert await forwarding.turn()
        assert len(scripted.settled) == 6
        await forwarding.abandon()

    async def test_wakes_itself_in_time(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """Nobody has to poll for the next token."""
        woken = asyncio.Event()
        limited = Outlet("orders", 50, outlet().forward, rate=TokenBucket(50))
        forwarding = Forwarding(store, leases, limited, woken=woken)
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(60)]
        assert await forwarding.turn()
        woken.clear()
        while not await forwarding.turn():
            await woken.wait()
            woken.clear()
        assert 50 < len(scripted.settled) < 60
        await forwarding.abandon()


class TestBreaker:
    async def test_open_it_claims_nothing_but_a_probe(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """A destination that is down is left alone, then asked with one message, then trusted again."""
        down = Down()
        forwarding = Forwarding(store, leases, down.outlet())
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(9)]
        with structlog.testing.capture_logs() as lines:
            assert [await forwarding.turn() for _ in range(3)] == [True, True, False]
            assert len(scripted.settled) == 6
            assert all(isinstance(one, DeliveryPostponed) and one.parked for one in scripted.settled)
            down.clock.now += 1.0
            assert await forwarding.turn(), "the probe, which fails"
            assert not await forwarding.turn()
            down.clock.now += 2.0
            down.is_down = False
            assert await forwarding.turn(), "the probe, which gets through"
            assert await forwarding.turn()
        assert [claim.limit for claim in scripted.claims] == [3, 3, 1, 1, 3]
        facts = [line["event"] for line in lines if line["event"] not in {"forward postponed", "forwarded"}]
        assert facts == ["breaker opened", "probe failed", "breaker closed"]
        assert [line["error"] for line in lines if line["event"] == "breaker opened"] == ["down"]
        await forwarding.abandon()

    async def test_tells_other_processes(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """The store is told of each change, and the gauge shows it."""
        down = Down()
        gauge = metrics.BREAKER_OPEN.labels("orders")
        forwarding = Forwarding(store, leases, down.outlet())
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(9)]
        for _ in range(3):
            await forwarding.turn()
        assert gauge._value.get() == 1
        down.clock.now += 1.0
        down.is_down = False
        await forwarding.turn()
        assert gauge._value.get() == 0
        first, opened, closed = scripted.noted
        assert first is None
        assert opened is not None
        assert opened > NOW
        assert closed is None
        await forwarding.abandon()

    async def test_what_a_worker_before_it_told_is_over(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """A worker that was killed with its breaker open left that in the store; the next one corrects it."""
        up = Down()
        up.is_down = False
        forwarding = Forwarding(store, leases, up.outlet())
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(9)]
        with structlog.testing.capture_logs() as lines:
            while await forwarding.turn():
                pass
            await forwarding.drain()
        assert scripted.noted == [None]
        assert {line["event"] for line in lines} == {"forwarded"}

    async def test_one_probe_at_a_time(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """However many batches may be under way, a destination that is down gets one message at once."""
        down = Down()
        forwarding = Forwarding(store, leases, down.outlet(concurrency=3))
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(20)]
        while down.breaker.openings == 0:
            await forwarding.turn()
        await forwarding.drain()
        down.clock.now += 60
        down.hold.release.clear()
        assert await forwarding.turn()
        assert not await forwarding.turn()
        assert scripted.claims[-1].limit == 1
        down.hold.release.set()
        await forwarding.drain()
        await forwarding.abandon()


@dataclass
class Clock:
    now: float = 50.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Held:
    """Sends that take until they are released."""

    release: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[Sequence[DeliveryJob]] = field(default_factory=list)

    async def forward(self, jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
        self.sent.append(jobs)
        await self.release.wait()
        return [confirm(job) for job in jobs]


class Down:
    """A destination that is down until it is not, with its breaker."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.breaker = Breaker(BreakerRules(failures=2), clock=self.clock, chance=lambda: 0.999)
        self.is_down = True
        self.hold = Held()
        self.hold.release.set()

    def outlet(self, *, concurrency: int = 1) -> Outlet:
        return Outlet("orders", 3, self._forward, concurrency, breaker=self.breaker)

    async def _forward(self, jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
        await self.hold.forward(jobs)
        outcome: Outcome = Retry("down") if self.is_down else Delivered()
        judged = self.breaker.judge({job.event_id: outcome for job in jobs})
        return [
            DeliveryPostponed(job, NOW, "down", parked=True)
            if isinstance(judged[job.event_id], Parked)
            else confirm(job)
            for job in jobs
        ]
