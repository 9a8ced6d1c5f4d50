"""Forwarding the due deliveries of one destination."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
import structlog.testing

from receiver.deliver import ForwardResult
from receiver.errors import StoreUnavailable
from receiver.outcomes import Delivered, Outcome, Parked, Retry
from receiver.store import Store
from receiver.store.jobs import DeliveryJob
from receiver.store.settlements import DeliveryConfirmed, DeliveryDead, DeliveryPostponed, DeliveryUnwanted
from receiver.telemetry import metrics
from receiver.worker.breaker import Breaker, BreakerRules
from receiver.worker.forwarding import Forwarding, Outlet
from receiver.worker.leases import Leases
from receiver.worker.rate import TokenBucket
from tests.unit.work import NOW, delivery_job
from tests.unit.worker.scripted import ScriptedStore
from tests.waiting.aio import until


def confirm(job: DeliveryJob) -> ForwardResult:
    return DeliveryConfirmed(job, NOW)


def outlet(*, result: Callable[[DeliveryJob], ForwardResult] = confirm, max_batch: int = 3) -> Outlet:
    async def forward(jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
        return [result(job) for job in jobs]

    return Outlet("orders", max_batch, forward)


async def turn(forwarding: Forwarding) -> bool:
    """Take one turn, and wait for what it began."""
    found = await forwarding.turn()
    await until(lambda: not forwarding._tasks)
    return found


class TestTurn:
    async def test_a_batch_at_a_time(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """Each turn sends no more than the destination takes at once, and says whether there was any."""
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(5)]
        forwarding = Forwarding(store, leases, outlet())
        sizes = []
        while await turn(forwarding):
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
            await turn(Forwarding(store, leases, ending))
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
        await turn(Forwarding(store, leases, outlet(result=result)))
        assert counter._value.get() == before + 1

    @pytest.mark.parametrize(("is_first", "counted"), [(True, 1.5), (False, 0.0)])
    async def test_its_delay_is_measured(
        self, store: Store, leases: Leases, scripted: ScriptedStore, *, is_first: bool, counted: float
    ) -> None:
        """From receipt to confirmation, unless an operator had it sent long after."""
        delays = metrics.DELIVERY_DELAY.labels("orders")
        before = delays._sum.get()
        scripted.deliveries = [replace(delivery_job(), is_first=is_first)]
        late = outlet(result=lambda job: DeliveryConfirmed(job, job.received_ms + 1500))
        await turn(Forwarding(store, leases, late))
        assert delays._sum.get() - before == pytest.approx(counted)

    async def test_failing_store_after_sending(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """What was sent and cannot be settled is left to its lease, and is not counted as delivered."""
        scripted.deliveries = [delivery_job()]
        scripted.settle_error = StoreUnavailable("down")
        with structlog.testing.capture_logs() as lines:
            assert await turn(Forwarding(store, leases, outlet()))
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
        assert await forwarding.turn()
        await sending.wait()
        assert set(leases._held) == {scripted.claims[0].lease}
        await forwarding.abandon()
        assert not leases._held
        await leases.release_unfinished()
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
        """As many batches are under way as the outlet allows, and as many messages wait for their turn."""
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(20)]
        hold = Held()
        forwarding = Forwarding(store, leases, Outlet("orders", 2, hold.forward, concurrency=3))
        while await forwarding.turn():
            pass
        await until(lambda: len(hold.sent) == 3)
        assert [claim.limit for claim in scripted.claims] == [6, 6]
        hold.release.set()
        while len(scripted.settled) < 20:
            await turn(forwarding)
        assert max(len(jobs) for jobs in hold.sent) == 2
        assert not leases._held

    async def test_a_slow_message_holds_up_no_other(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """The place of each message is free for the next as soon as that one is sent."""
        hold = Held()

        async def forward(jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
            return await hold.forward(jobs) if jobs[0].event_id == "event-0" else [confirm(jobs[0])]

        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(9)]
        forwarding = Forwarding(store, leases, Outlet("orders", 1, forward, concurrency=2))
        while len(scripted.settled) < 8:
            await forwarding.turn()
            await asyncio.sleep(0)
        assert len(hold.sent) == 1
        hold.release.set()
        await forwarding.drain()
        assert len(scripted.settled) == 9

    async def test_room_is_worth_a_turn(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """A batch that ends wakes whoever may find more."""
        woken = asyncio.Event()
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(3)]
        await Forwarding(store, leases, outlet(), woken=woken).turn()
        await until(woken.is_set)


class TestFinish:
    async def test_sends_on_while_it_settles(
        self, store: Store, leases: Leases, scripted: ScriptedStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The next batch does not wait until the one before is written down."""
        hold, free, settle_all = Held(), asyncio.Event(), scripted.settle_all

        async def settle_slowly(results: Sequence[ForwardResult]) -> list[StoreUnavailable | None]:
            await free.wait()
            return await settle_all(results)

        monkeypatch.setattr(scripted, "settle_all", settle_slowly)
        forwarding = Forwarding(store, leases, Outlet("orders", 3, hold.forward))
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(6)]
        assert [await forwarding.turn() for _ in range(2)] == [True, True]
        await until(lambda: hold.sent)
        hold.release.set()
        await until(lambda: len(hold.sent) == 2)
        assert scripted.settled == []
        free.set()
        await forwarding.drain()
        assert len(scripted.settled) == 6

    async def test_a_bug_takes_no_place(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """What crashed is done again once its lease ends; the next batch is sent."""
        sent: list[Sequence[DeliveryJob]] = []

        async def forward(jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
            sent.append(jobs)
            if len(sent) == 1:
                raise RuntimeError("bug")
            return [confirm(job) for job in jobs]

        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        forwarding = Forwarding(store, leases, Outlet("orders", 3, forward))
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(6)]
        assert [await turn(forwarding) for _ in range(2)] == [True, True]
        assert len(sent) == 2
        assert not leases._held


class TestHandover:
    async def test_sends_at_once_what_it_is_handed(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """Nothing is claimed; what comes together goes together; each is settled under its own lease."""
        sent: list[int] = []

        async def forward(jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
            sent.append(len(jobs))
            return [confirm(job) for job in jobs]

        forwarding = Forwarding(store, leases, Outlet("orders", 3, forward))
        assert not await turn(forwarding)
        holds = [forwarding.reserve() for _ in range(2)]
        for number, hold in enumerate(holds):
            assert hold
            forwarding.take(delivery_job(f"event-{number}", lease=hold.lease))
        await until(lambda: len(scripted.settled) == 2)
        assert sent == [2]
        assert {one.job.lease for one in scripted.settled} == {hold.lease for hold in holds if hold}
        assert len(scripted.claims) == 1
        await until(lambda: not leases._held)

    async def test_takes_nothing_while_older_ones_wait(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """Before it has looked, and after a claim that came back full, the table comes first."""
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(3)]
        forwarding = Forwarding(store, leases, outlet())
        assert forwarding.reserve() is None
        assert await turn(forwarding)
        assert forwarding.reserve() is None
        assert not await turn(forwarding)
        assert forwarding.reserve()

    async def test_takes_no_more_than_it_has_room_for(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """One window ahead of what is being sent; a place that is given up is another's."""
        forwarding = Forwarding(store, leases, outlet(max_batch=2))
        await turn(forwarding)
        assert [forwarding.reserve() is not None for _ in range(3)] == [True, True, False]
        forwarding.free()
        assert forwarding.reserve()
        assert not scripted.deliveries

    async def test_takes_nothing_that_would_have_to_wait(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """A destination that is down or has a rate gets what the table says is due, when it is due."""
        down = Down()
        forwarding = Forwarding(store, leases, down.outlet())
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(6)]
        while not down.breaker.openings:
            await turn(forwarding)
        limited = Forwarding(store, leases, Outlet("audit", 3, outlet().forward, rate=TokenBucket(50)))
        await turn(limited)
        assert forwarding.reserve() is None
        assert limited.reserve() is None
        await forwarding.abandon()

    async def test_gives_back_what_it_did_not_begin(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """Handed over when the worker ends, a delivery goes back to the table at once."""
        forwarding = Forwarding(store, leases, outlet())
        await turn(forwarding)
        hold = forwarding.reserve()
        assert hold
        await forwarding.drain()
        forwarding.take(delivery_job(lease=hold.lease))
        await leases.release_unfinished()
        assert scripted.settled == []
        assert scripted.released == [{hold.lease}]


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
        assert await turn(forwarding)
        assert not await turn(forwarding)
        assert [claim.limit for claim in scripted.claims] == [4, 1]
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(3, 9)]
        assert await turn(forwarding)
        assert not await turn(forwarding), "the bucket is empty, and nothing is claimed"
        assert len(scripted.settled) == 4
        clock.now += 0.5
        assert await turn(forwarding)
        assert len(scripted.settled) == 6
        await forwarding.abandon()

    async def test_wakes_itself_in_time(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """Nobody has to poll for the next token."""
        woken = asyncio.Event()
        limited = Outlet("orders", 50, outlet().forward, rate=TokenBucket(50))
        forwarding = Forwarding(store, leases, limited, woken=woken)
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(150)]
        assert await turn(forwarding)
        assert len(scripted.settled) == 50
        woken.clear()
        while not await turn(forwarding):
            await woken.wait()
            woken.clear()
        assert 50 < len(scripted.settled) <= 100, "of one second's worth, as many as were there"
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
            assert [await turn(forwarding) for _ in range(3)] == [True, True, False]
            assert len(scripted.settled) == 6
            assert all(isinstance(one, DeliveryPostponed) and one.parked for one in scripted.settled)
            down.clock.now += 1.0
            assert await turn(forwarding), "the probe, which fails"
            assert not await turn(forwarding)
            down.clock.now += 2.0
            down.is_down = False
            assert await turn(forwarding), "the probe, which gets through"
            assert await turn(forwarding)
        assert [claim.limit for claim in scripted.claims] == [3, 3, 1, 1, 3]
        facts = [line["event"] for line in lines if line["event"] not in {"forward postponed", "forwarded"}]
        assert facts == ["breaker opened", "probe failed", "breaker closed"]
        assert [line["error"] for line in lines if line["event"] == "breaker opened"] == ["down"]
        await forwarding.abandon()

    async def test_open_it_holds_nothing(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """What was claimed ahead is put back: whoever pauses or erases does not wait for the outage's end."""
        down = Down()
        forwarding = Forwarding(store, leases, down.outlet())
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(9)]
        await turn(forwarding)
        down.hold.release.clear()
        await forwarding.turn()
        await forwarding.turn()
        down.hold.release.set()
        await until(lambda: not forwarding._tasks)
        assert not leases._held
        put_back = [one for one in scripted.settled[6:] if isinstance(one, DeliveryPostponed)]
        assert [one.job.event_id for one in put_back] == ["event-6", "event-7", "event-8"]
        for one in put_back:
            assert (one.parked, one.error) == (True, "down")
            assert one.due_ms > time.time() * 1000 - 60_000
        await forwarding.abandon()

    async def test_closed_it_puts_nothing_back(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """What was claimed ahead of a destination that works is sent."""
        up = Down()
        up.is_down = False
        forwarding = Forwarding(store, leases, up.outlet(concurrency=2))
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(12)]
        up.hold.release.clear()
        assert [await forwarding.turn() for _ in range(2)] == [True, True]
        await until(lambda: len(up.hold.sent) == 2)
        assert len(forwarding._queue) == 6
        up.hold.release.set()
        await forwarding.turn()
        await until(lambda: len(scripted.settled) == 12)
        assert not [one for one in scripted.settled if isinstance(one, DeliveryPostponed)]
        await forwarding.abandon()

    async def test_tells_other_processes(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """The store is told of each change, and the gauge shows it."""
        down = Down()
        gauge = metrics.BREAKER_OPEN.labels("orders")
        forwarding = Forwarding(store, leases, down.outlet())
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(9)]
        for _ in range(3):
            await turn(forwarding)
        assert gauge._value.get() == 1
        down.clock.now += 1.0
        down.is_down = False
        await turn(forwarding)
        assert gauge._value.get() == 0
        opened, closed = scripted.noted
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
            while await turn(forwarding):
                pass
            await forwarding.drain()
        assert scripted.noted == [None]
        assert {line["event"] for line in lines} == {"forwarded"}

    async def test_what_a_worker_before_it_told_still_holds(
        self, store: Store, leases: Leases, scripted: ScriptedStore
    ) -> None:
        """A worker that begins while the destination is down does not tell that it is back."""
        down = Down()
        forwarding = Forwarding(store, leases, down.outlet())
        scripted.deliveries = [delivery_job("event-1")]
        await turn(forwarding)
        assert not down.breaker.openings
        assert scripted.noted == []
        await forwarding.abandon()

    async def test_one_probe_at_a_time(self, store: Store, leases: Leases, scripted: ScriptedStore) -> None:
        """However many batches may be under way, a destination that is down gets one message at once."""
        down = Down()
        forwarding = Forwarding(store, leases, down.outlet(concurrency=3))
        scripted.deliveries = [delivery_job(f"event-{number}") for number in range(20)]
        while down.breaker.openings == 0:
            await turn(forwarding)
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
