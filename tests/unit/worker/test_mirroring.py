"""Mirroring: many assets at once, few from any one host."""

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import structlog.testing

from receiver.assets import NotFetched
from receiver.assets.kept import KEPT, KeptDownloads
from receiver.clock import now_ms
from receiver.errors import StoreUnavailable
from receiver.events import Asset
from receiver.mirror import MirrorResult
from receiver.outcomes import Retry
from receiver.store import Store
from receiver.store.jobs import EventJob, Keeper, LateJob
from receiver.store.late import LateArrived, LateGivenUp, LatePostponed, LateSettlement
from receiver.store.record import NewEvent
from receiver.store.settlements import EventPostponed, EventSettled
from receiver.telemetry import metrics
from receiver.worker.breaker import Breaker
from receiver.worker.bucket_gates import BucketGates
from receiver.worker.gate import GATE_RULES
from receiver.worker.host_gates import HostGates
from receiver.worker.leases import Leases
from receiver.worker.mirroring import (
    Gates,
    Mirroring,
    MirrorLimits,
    late_mirroring,
    live_mirroring,
    mirror_and_settle,
)
from tests.unit.work import NOW, MemoryBucket, event_job, late_job
from tests.unit.worker.scripted import ScriptedStore
from tests.waiting.aio import until


def jobs(count: int, *, host: str | None = "cdn.example.com") -> list[EventJob]:
    return [replace(event_job(host=host), id=f"{host}-{number}") for number in range(count)]


class Mirror:
    """Mirrors at once, or when it is released."""

    def __init__(self, asset: Asset | None = None) -> None:
        self.begun: list[EventJob] = []
        self.free = asyncio.Event()
        self._asset = asset

    async def __call__(self, job: EventJob) -> MirrorResult:
        self.begun.append(job)
        await self.free.wait()
        return EventSettled(job, self._asset, NOW)


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


@pytest.fixture
def woken() -> asyncio.Event:
    return asyncio.Event()


class Outage:
    """Gates before a bucket and hosts, with a clock that stands."""

    def __init__(self) -> None:
        self.now = 1000.0
        breaker = partial(Breaker, GATE_RULES, clock=lambda: self.now, chance=lambda: 0.5)
        self.bucket = BucketGates(MemoryBucket(), (), breaker).gate(None)
        self.hosts = HostGates(self._refuse, patience_s=3600, make_breaker=breaker)

    async def _refuse(self, _url: object, _begin: object = None) -> NotFetched:
        return NotFetched("connect", permanent=False)

    def begin(self) -> None:
        for name in ("a", "b", "c"):
            self.bucket.failed(name, Retry("down"))

    def wait(self) -> None:
        self.now += self.bucket.wait_s()

    async def lose_host(self) -> None:
        for number in range(3):
            await self.hosts.fetch(f"https://gone.example.com/{number}")

    @property
    def gates(self) -> Gates:
        return Gates(self.bucket, self.hosts)


@pytest.fixture
def outage() -> Outage:
    return Outage()


@pytest.fixture
def mirroring(
    store: Store, leases: Leases, mirror: Mirror, woken: asyncio.Event, outage: Outage
) -> Mirroring[EventJob]:
    limits = MirrorLimits(at_once=6, per_host=2)
    return live_mirroring(store, leases, mirror, limits=limits, woken=woken, gates=outage.gates)


async def turn_until_full(mirroring: Mirroring[EventJob]) -> None:
    """Take turns until one finds nothing, then let what was started begin."""
    while await mirroring.turn():
        pass
    for _ in range(5):
        await asyncio.sleep(0)


async def work_off(mirroring: Mirroring[EventJob]) -> None:
    """Take turns, each to its end, until one finds nothing."""
    while await mirroring.turn():
        await mirroring.drain()


class TestTurn:
    async def test_starts_what_is_due(
        self, mirroring: Mirroring[EventJob], mirror: Mirror, scripted: ScriptedStore
    ) -> None:
        """It does not wait for what it starts; what comes of it is settled under the claim's lease."""
        scripted.events = jobs(1)
        assert await mirroring.turn()
        assert not await mirroring.turn()
        mirror.free.set()
        await mirroring.drain()
        (settled,) = scripted.settled
        assert settled.job.lease == scripted.claims[0].lease

    async def test_few_from_one_host(
        self, mirroring: Mirroring[EventJob], mirror: Mirror, scripted: ScriptedStore
    ) -> None:
        """A slow host gets less than twice its share, and the others theirs."""
        scripted.events = [*jobs(9, host="slow"), *jobs(2, host="fast")]
        await turn_until_full(mirroring)
        begun = Counter(job.asset_host for job in mirror.begun)
        assert begun["slow"] < 4
        assert begun["fast"] == 2

    async def test_no_more_than_there_is_room(
        self, mirroring: Mirroring[EventJob], mirror: Mirror, scripted: ScriptedStore
    ) -> None:
        """However many hosts, no more is under way than the limit."""
        scripted.events = [job for number in range(10) for job in jobs(2, host=f"host{number}")]
        await turn_until_full(mirroring)
        assert len(mirror.begun) == 6

    async def test_places_are_taken_while_others_are_settled(
        self, store: Store, leases: Leases, mirror: Mirror, scripted: ScriptedStore, woken: asyncio.Event
    ) -> None:
        """However long the store takes to write down what was mirrored, more is; up to a limit."""
        scripted.frozen = asyncio.Event()
        scripted.events = jobs(9)
        mirror.free.set()
        mirroring = live_mirroring(
            store, leases, mirror, limits=MirrorLimits(2, 2), woken=woken, gates=Outage().gates
        )
        await turn_until_full(mirroring)
        assert (len(mirror.begun), scripted.settled) == (6, [])
        scripted.frozen.set()
        await mirroring.drain()

    async def test_room_wakes_the_duty(
        self, mirroring: Mirroring[EventJob], mirror: Mirror, scripted: ScriptedStore, woken: asyncio.Event
    ) -> None:
        """Each asset that ends makes room and says so; then the rest is taken up."""
        scripted.events = jobs(9)
        await turn_until_full(mirroring)
        mirror.free.set()
        async with asyncio.timeout(15):
            await woken.wait()
        await work_off(mirroring)
        assert len(scripted.settled) == 9

    async def test_next_one_goes_while_one_is_settled(
        self, mirroring: Mirroring[EventJob], mirror: Mirror, scripted: ScriptedStore
    ) -> None:
        """What waits for its host's turn is claimed with what does not, and waits for no database."""
        scripted.events = jobs(6)
        await turn_until_full(mirroring)
        assert len(mirror.begun) == 2
        scripted.frozen = asyncio.Event()
        mirror.free.set()
        await until(lambda: len(mirror.begun) == 6)
        assert scripted.settled == []
        scripted.frozen.set()
        await mirroring.drain()
        assert len(scripted.settled) == 6

    async def test_holds_the_lease_until_all_are_settled(
        self, mirroring: Mirroring[EventJob], mirror: Mirror, scripted: ScriptedStore, leases: Leases
    ) -> None:
        """A lease is renewed while any of its work goes on, and no longer."""
        scripted.events = jobs(2)
        await mirroring.turn()
        await until(lambda: len(mirror.begun) == 2)
        assert set(leases._held) == {scripted.claims[0].lease}
        mirror.free.set()
        await mirroring.drain()
        assert not leases._held

    async def test_nothing_found_holds_nothing(self, mirroring: Mirroring[EventJob], leases: Leases) -> None:
        """A claim that found nothing has no lease to renew."""
        assert not await mirroring.turn()
        assert not leases._held

    async def test_failing_store_at_the_claim(
        self, mirroring: Mirroring[EventJob], scripted: ScriptedStore, leases: Leases
    ) -> None:
        """The refusal reaches the loop, which knows what to do, and no lease is left behind."""
        scripted.claim_error = StoreUnavailable("down")
        with pytest.raises(StoreUnavailable):
            await mirroring.turn()
        assert not leases._held

    async def test_failing_store_at_the_end(
        self, mirroring: Mirroring[EventJob], mirror: Mirror, scripted: ScriptedStore
    ) -> None:
        """What cannot be settled is left to its lease; its room is free again."""
        scripted.events = jobs(6)
        scripted.settle_error = StoreUnavailable("down")
        mirror.free.set()
        with structlog.testing.capture_logs() as lines:
            await work_off(mirroring)
        assert {line["event"] for line in lines} == {"not settled"}
        assert len(mirror.begun) == 6
        assert mirroring._under_way.total() == 0

    async def test_cancelled_work_is_given_back(
        self, mirroring: Mirroring[EventJob], mirror: Mirror, scripted: ScriptedStore, leases: Leases
    ) -> None:
        """What is cut short while draining is released, whole claims at a time."""
        scripted.events = jobs(2)
        await mirroring.turn()
        draining = asyncio.create_task(mirroring.drain())
        await until(lambda: len(mirror.begun) == 2)
        draining.cancel()
        await asyncio.wait([draining])
        await leases.release_unfinished()
        assert scripted.released == [{scripted.claims[0].lease}]
        assert scripted.settled == []


class TestKeptDownload:
    @pytest.mark.parametrize("fate", ["settled", "postponed", "not written", "lease lost"])
    async def test_goes_once_its_event_is_settled(
        self,
        store: Store,
        leases: Leases,
        woken: asyncio.Event,
        scripted: ScriptedStore,
        tmp_path: Path,
        fate: str,
    ) -> None:
        """Not before: until the database says so, another attempt may need it."""
        kept = KeptDownloads(tmp_path, max_bytes=100)
        (tmp_path / KEPT / "-1").mkdir(parents=True)
        (tmp_path / KEPT / "-1/event-1.00.png").touch()
        scripted.events = [event_job()]
        scripted.settle_error = StoreUnavailable("down") if fate == "not written" else None
        scripted.holds = fate != "lease lost"

        async def mirror(job: EventJob) -> MirrorResult:
            return (
                EventPostponed(job, NOW, "bucket: down")
                if fate == "postponed"
                else EventSettled(job, None, NOW)
            )

        await work_off(
            live_mirroring(
                store, leases, mirror, limits=MirrorLimits(), woken=woken, kept=kept, gates=Outage().gates
            )
        )
        assert await kept.event_ids() == ([] if fate == "settled" else ["event-1"])


@pytest.fixture
def gated(
    store: Store, leases: Leases, mirror: Mirror, woken: asyncio.Event, outage: Outage, tmp_path: Path
) -> Mirroring[EventJob]:
    kept, gates = KeptDownloads(tmp_path, max_bytes=0), outage.gates
    limits = MirrorLimits(at_once=9, per_host=9)
    return live_mirroring(store, leases, mirror, limits=limits, woken=woken, kept=kept, gates=gates)


def downloaded(count: int) -> list[EventJob]:
    return [
        replace(job, id=f"kept-{job.id}", kept_by=Keeper("ours", None))
        for job in jobs(count, host="a.example.com")
    ]


class TestGates:
    async def test_nothing_is_left_while_all_is_well(
        self, gated: Mirroring[EventJob], scripted: ScriptedStore
    ) -> None:
        """Whatever is due is taken, downloaded or not."""
        scripted.events = [*jobs(2), *downloaded(2)]
        await turn_until_full(gated)
        assert scripted.events == []
        assert scripted.aways[0].downloaded is None

    async def test_only_downloads_while_the_bucket_is_down(
        self, gated: Mirroring[EventJob], scripted: ScriptedStore, outage: Outage, mirror: Mirror
    ) -> None:
        """What is on disk waits, and is not claimed; the URLs of the others may not live as long."""
        outage.begin()
        scripted.events = [*downloaded(5), *jobs(3)]
        await turn_until_full(gated)
        assert [job.id for job in scripted.events] == [job.id for job in downloaded(5)]
        assert len(mirror.begun) == 3

    async def test_one_of_those_that_wait_tries(
        self, gated: Mirroring[EventJob], scripted: ScriptedStore, outage: Outage, mirror: Mirror
    ) -> None:
        """When the wait is over one is taken, and no other until it has ended."""
        outage.begin()
        outage.wait()
        scripted.events = downloaded(5)
        await turn_until_full(gated)
        assert len(mirror.begun) == 1
        mirror.free.set()
        await gated.drain()
        await gated.turn()
        assert len(scripted.events) == 3

    async def test_full_disk_downloads_nothing(
        self,
        store: Store,
        leases: Leases,
        mirror: Mirror,
        woken: asyncio.Event,
        outage: Outage,
        scripted: ScriptedStore,
        tmp_path: Path,
    ) -> None:
        """Once a download found no room, one at a time is fetched to try the bucket, until one has left."""
        kept, gates = KeptDownloads(tmp_path, max_bytes=0), outage.gates
        duty = live_mirroring(
            store, leases, mirror, limits=MirrorLimits(), woken=woken, kept=kept, gates=gates
        )
        await kept.hold("event-1")
        outage.begin()
        scripted.events = jobs(3)
        assert not await duty.turn()
        outage.wait()
        await turn_until_full(duty)
        assert len(mirror.begun) == 1
        await kept.discard("event-2")
        assert await duty.turn()
        mirror.free.set()
        await duty.drain()

    async def test_host_that_is_down(
        self, gated: Mirroring[EventJob], scripted: ScriptedStore, outage: Outage
    ) -> None:
        """Nothing of it is claimed, but for what has waited for too long; others are."""
        await outage.lose_host()
        scripted.events = [*jobs(2, host="gone.example.com"), *jobs(2, host="b.example.com")]
        await turn_until_full(gated)
        assert {job.asset_host for job in scripted.events} == {"gone.example.com"}
        assert abs(scripted.aways[0].overdue_ms - (now_ms() - 3_600_000)) < 60_000

    async def test_wakes_in_time(
        self, gated: Mirroring[EventJob], outage: Outage, woken: asyncio.Event
    ) -> None:
        """Whatever the poll, the duty wakes when the bucket may be tried."""
        outage.begin()
        woken.clear()
        await gated.turn()
        async with asyncio.timeout(15):
            await woken.wait()
        await gated.abandon()

    async def test_late_assets_wait_for_the_bucket(
        self, store: Store, leases: Leases, scripted: ScriptedStore, woken: asyncio.Event, outage: Outage
    ) -> None:
        """They are not kept on disk, so none is downloaded in vain; one tries when the wait is over."""

        async def mirror(job: LateJob) -> LateSettlement:
            return LatePostponed(job, NOW, "bucket: down")

        outage.begin()
        scripted.late = [replace(late_job(), id=str(number)) for number in range(3)]
        gates = outage.gates
        duty = late_mirroring(store, leases, mirror, woken=woken, gates=gates)
        assert not await duty.turn()
        outage.wait()
        assert await duty.turn()
        assert not await duty.turn()
        await duty.drain()
        assert len(scripted.late) == 2
        await duty.abandon()


class TestMirrorAndSettle:
    @pytest.mark.parametrize(
        ("result", "outcome", "fact"),
        [
            (EventPostponed(event_job(), NOW, "http_503"), "postponed", "asset postponed"),
            (EventPostponed(event_job(), NOW, "http_503", parked=True), "parked", "asset postponed"),
            (EventSettled(event_job(), Asset("mirrored", "s3://b/k"), NOW), "mirrored", "mirrored"),
            (EventSettled(event_job(), Asset("failed", error="expired"), NOW), "expired", "asset given up"),
        ],
    )
    async def test_is_reported(self, leases: Leases, result: MirrorResult, outcome: str, fact: str) -> None:
        """Each attempt is counted by its outcome and is one line with the event's ids."""

        async def mirror(_job: EventJob) -> MirrorResult:
            return result

        counter = metrics.ASSETS.labels(outcome)
        before = counter._value.get()
        with structlog.testing.capture_logs() as lines:
            await mirror_and_settle(leases, mirror, result.job)
        assert counter._value.get() == before + 1
        (line,) = lines
        assert (line["event"], line["event_id"], line["generation_id"]) == (fact, "event-1", "gen_1")

    async def test_its_delay_is_measured(self, leases: Leases) -> None:
        """From receipt until the asset was mirrored."""
        delays = metrics.MIRROR_DELAY.labels("photoverse")
        before = delays._sum.get()

        async def mirror(job: EventJob) -> MirrorResult:
            return EventSettled(job, Asset("mirrored", "s3://b/k"), job.received_ms + 2500)

        await mirror_and_settle(leases, mirror, event_job())
        assert delays._sum.get() - before == pytest.approx(2.5)


TOLD = NewEvent("told", "photoverse", "gen_1", "generation.asset_mirrored", None, b"{}", "mirror", NOW)


class TestLateMirroring:
    async def test_few_at_once(
        self, store: Store, leases: Leases, scripted: ScriptedStore, woken: asyncio.Event
    ) -> None:
        """However much is late, hardly any of it is under way beside what live events do."""
        free, begun = asyncio.Event(), list[LateJob]()

        async def mirror(job: LateJob) -> LateSettlement:
            begun.append(job)
            await free.wait()
            return LateGivenUp(job, "http_404")

        scripted.late = [replace(late_job(), id=str(n), asset_host=f"host{n}") for n in range(20)]
        mirroring = late_mirroring(store, leases, mirror, woken=woken, gates=Outage().gates)
        while await mirroring.turn():
            pass
        await until(lambda: len(begun) == 4)
        assert not await mirroring.turn()
        free.set()
        await mirroring.drain()
        assert len(scripted.settled) == 4

    @pytest.mark.parametrize(
        ("result", "outcome", "fact"),
        [
            (
                LateArrived(late_job(), Asset("mirrored", "s3://b/k"), TOLD, NOW),
                "late_mirrored",
                "mirrored late",
            ),
            (LatePostponed(late_job(), NOW, "http_503"), "late_postponed", "late asset postponed"),
            (LateGivenUp(late_job(), "http_404"), "late_given_up", "late asset given up"),
        ],
    )
    async def test_is_reported(
        self,
        store: Store,
        leases: Leases,
        scripted: ScriptedStore,
        woken: asyncio.Event,
        result: LateSettlement,
        outcome: str,
        fact: str,
    ) -> None:
        """Each late attempt is counted apart from live ones, and is one line with the event's ids."""

        async def mirror(_job: LateJob) -> LateSettlement:
            return result

        scripted.late = [late_job()]
        counter = metrics.ASSETS.labels(outcome)
        before = counter._value.get()
        mirroring = late_mirroring(store, leases, mirror, woken=woken, gates=Outage().gates)
        with structlog.testing.capture_logs() as lines:
            await mirroring.turn()
            await mirroring.drain()
        assert counter._value.get() == before + 1
        (line,) = lines
        assert (line["event"], line["event_id"], line["generation_id"]) == (fact, "event-1", "gen_1")
