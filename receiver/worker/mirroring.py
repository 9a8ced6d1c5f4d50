"""Mirrors into one bucket: many assets at once, but few from any one host."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

import structlog

from receiver.assets.kept import KeptDownloads
from receiver.errors import StoreUnavailable
from receiver.events import Asset
from receiver.mirror import MirrorResult
from receiver.store import Store
from receiver.store.claim import Away, Claim, claim_events
from receiver.store.jobs import ALL_SOURCES, EventJob, Hold, LateJob, Sources
from receiver.store.late import LateArrived, LateGivenUp, LatePostponed, LateSettlement, claim_late
from receiver.store.settlements import EventPostponed, EventSettled
from receiver.telemetry import logs, metrics
from receiver.worker.gate import Gate
from receiver.worker.host_gates import HostGates
from receiver.worker.leases import Leases

Job = TypeVar("Job", bound=EventJob)
Job_co = TypeVar("Job_co", bound=EventJob, covariant=True)
Mirror = Callable[[EventJob], Awaitable[MirrorResult]]
MirrorLate = Callable[[LateJob], Awaitable[LateSettlement]]
MirrorJob = Callable[[Job], Awaitable[MirrorResult | LateSettlement]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MirrorLimits:
    """How much to mirror into one bucket at once."""

    at_once: int = 48
    """Also the size of one claim: each is a transaction, so it takes many of a busy host at once."""
    per_host: int = 24
    """The most of these from one host, whether they are downloading, being recorded or uploading.

    As many as are uploaded to S3 at once.
    """
    claimed_per_place: int = 3
    """One is mirrored while the others are settled or wait, so no place is empty while more are claimed."""


_LATE_LIMITS: Final = MirrorLimits(at_once=4, per_host=2, claimed_per_place=1)


@dataclass(frozen=True, slots=True)
class Gates:
    """Everything between a duty and the outside."""

    bucket: Gate
    hosts: HostGates


class ClaimJobs(Protocol[Job_co]):
    """Takes due work, skipping some hosts and whatever is down."""

    async def __call__(self, claim: Claim, *, except_hosts: Collection[str], away: Away) -> Sequence[Job_co]:
        """Return the jobs taken."""


def sources_by_bucket(with_own: Collection[str]) -> list[Sources]:
    """Return the sources of the common bucket together, and each source *with_own* bucket separately.

    Each group gets its own duty: a bucket that hangs keeps every place it is given, however many hosts there
    are.
    """
    return [Sources(without=with_own), *(Sources(only=name) for name in with_own)]


def live_mirroring(
    store: Store,
    leases: Leases,
    mirror: Mirror,
    *,
    limits: MirrorLimits,
    woken: asyncio.Event,
    gates: Gates,
    sources: Sources = ALL_SOURCES,
    kept: KeptDownloads | None = None,
) -> "Mirroring[EventJob]":
    """Return the duty that mirrors the assets of due events of *sources*."""
    spool = kept.spool if kept else ""
    claim = partial(store.claim, claim_events, with_asset=True, sources=sources, spool=spool)
    return Mirroring(leases, claim, mirror, limits=limits, woken=woken, kept=kept, gates=gates)


def late_mirroring(
    store: Store,
    leases: Leases,
    mirror: MirrorLate,
    *,
    woken: asyncio.Event,
    gates: Gates,
    sources: Sources = ALL_SOURCES,
) -> "Mirroring[LateJob]":
    """Return the duty that retries late assets: few at once, in addition to the capacity for live events."""
    claim = partial(store.claim, claim_late, sources=sources)
    return Mirroring(leases, claim, mirror, limits=_LATE_LIMITS, woken=woken, gates=gates)


class Mirroring(Generic[Job]):
    """Mirrors due assets into one bucket, concurrently."""

    def __init__(
        self,
        leases: Leases,
        claim: ClaimJobs[Job],
        mirror: MirrorJob[Job],
        *,
        limits: MirrorLimits,
        woken: asyncio.Event,
        gates: Gates,
        kept: KeptDownloads | None = None,
    ) -> None:
        self._claim_jobs = claim
        self._leases = leases
        self._mirror = mirror
        self._limits = limits
        self._woken = woken
        self._kept = kept
        self._gates = gates
        self._try: asyncio.Task[None] | None = None
        """The trial of whether the bucket is back."""
        self._alarm: asyncio.TimerHandle | None = None
        self._claims: set[asyncio.Task[None]] = set()
        self._under_way: Counter[str] = Counter()
        """Claimed but not yet settled, by host."""
        self._places = asyncio.Semaphore(limits.at_once)
        self._places_of: dict[str, asyncio.Semaphore] = {}
        self._is_behind = True
        """Whether older work may be waiting to be claimed."""

    async def turn(self) -> bool:
        """Claim as much as there is room for and start on it; return whether there was any.

        While the bucket is down, one waiting job tries it, and the others only download: their URLs may
        expire sooner.
        """
        if self._is_full():
            self._is_behind = True
            return False
        room = self._limits.at_once
        self._set_alarm()
        if not self._gates.bucket.is_down:
            return bool(await self._claim(room))
        if not self._gates.bucket.is_shut and (self._try is None or self._try.done()):
            self._try = await self._claim_probe()
            if self._try:
                return True
        if self._kept is None or self._kept.is_full:
            return False
        return bool(await self._claim(room, downloaded=False))

    async def _claim_probe(self) -> "asyncio.Task[None] | None":
        """Claim a job that tries whether the bucket is back: a downloaded one if possible."""
        probe = await self._claim(1, downloaded=True if self._kept else None)
        if probe or self._kept is None or not self._kept.is_full:
            return probe
        # No more downloads are started, and without a probe nobody would notice that the bucket is back.
        return await self._claim(1, downloaded=False)

    async def _claim(self, room: int, *, downloaded: bool | None = None) -> "asyncio.Task[None] | None":
        away = Away(self._gates.hosts.shut(), self._gates.hosts.overdue_ms(), downloaded)
        with ExitStack() as stack:
            claim = stack.enter_context(self._leases.claim(room))
            busy = [host for host in self._under_way if self._is_busy(host)]
            jobs = await self._claim_jobs(claim, except_hosts=busy, away=away)
            self._is_behind = len(jobs) == room or bool(busy)
            if not jobs:
                return None
            self._under_way.update(_host(job) for job in jobs)
            return self._start(jobs, held=stack.pop_all())

    def _set_alarm(self) -> None:
        """Make sure to be woken when something that is down may be tried."""
        gate, hosts_s = self._gates.bucket, self._gates.hosts.wait_s()
        waits = [gate.wait_s() if gate.is_down else 0.0, hosts_s or 0.0]
        if (wait_s := min(filter(None, waits), default=None)) is not None:
            if self._alarm:
                self._alarm.cancel()
            self._alarm = asyncio.get_running_loop().call_later(wait_s, self._woken.set)

    def reserve(self, asset_host: str) -> Hold | None:
        """Reserve a place for an event being recorded, unless older ones are waiting or it had to wait."""
        if self._is_behind:
            return None
        if self._gates.bucket.is_down or self._gates.hosts.is_shut(asset_host):
            return None
        if self._is_full():
            return None
        if self._under_way[asset_host] >= self._limits.per_host:
            return None
        self._under_way[asset_host] += 1
        return self._leases.offer(self._kept.spool if self._kept else None)

    def take(self, job: Job) -> None:
        """Start on an event that has a place."""
        with ExitStack() as stack:
            stack.enter_context(self._leases.holding(job.lease))
            self._start([job], held=stack.pop_all())

    def free(self, asset_host: str) -> None:
        """Free a place."""
        was_full = self._is_full()
        self._under_way -= Counter([asset_host])
        if not self._under_way[asset_host]:
            self._places_of.pop(asset_host, None)
        # While its host has reached its limit, a claim would find nothing.
        if self._is_behind and (was_full or not self._is_busy(asset_host)):
            self._woken.set()

    async def drain(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._claims)

    async def abandon(self) -> None:
        """Cancel what is still under way, so that its leases are given back."""
        if self._alarm:
            self._alarm.cancel()
        for task in self._claims:
            task.cancel()
        await asyncio.gather(*self._claims, return_exceptions=True)

    def _is_full(self) -> bool:
        """Whether all places are taken: jobs waiting for one host only use up that host's places."""
        most = self._limits.claimed_per_place
        taken = sum(min(count, most * self._limits.per_host) for count in self._under_way.values())
        return taken >= most * self._limits.at_once

    def _is_busy(self, host: str) -> bool:
        return self._under_way[host] >= self._limits.claimed_per_place * self._limits.per_host

    def _start(self, jobs: Sequence[Job], *, held: ExitStack) -> "asyncio.Task[None]":
        task = asyncio.create_task(self._finish(jobs, held))
        self._claims.add(task)
        task.add_done_callback(self._claims.discard)
        return task

    async def _finish(self, jobs: Sequence[Job], held: ExitStack) -> None:
        with held:
            await asyncio.gather(*(self._one(job) for job in jobs))

    async def _one(self, job: Job) -> None:
        try:
            is_settled = await mirror_and_settle(self._leases, self._mirror_in_place, job)
        finally:
            self.free(_host(job))
        if is_settled and self._kept:
            await self._kept.discard(job.id)

    async def _mirror_in_place(self, job: Job) -> MirrorResult | LateSettlement:
        """Mirror the asset of *job* when its host has room; it is settled while the next one is mirrored."""
        places = self._places_of.setdefault(_host(job), asyncio.Semaphore(self._limits.per_host))
        async with places, self._places:
            return await self._mirror(job)


async def mirror_and_settle(leases: Leases, mirror: MirrorJob[Job], job: Job) -> bool:
    """Mirror the asset of *job* and write the outcome; return whether the event is now settled."""
    result = await mirror(job)
    try:
        held = await leases.settle(result)
    except StoreUnavailable as error:
        # Nothing is lost: the lease runs out and the work is repeated.
        log.warning("not settled", event_id=job.id, generation_id=job.generation_id, error=str(error))
        return False
    if isinstance(result, LateArrived | LatePostponed | LateGivenUp):
        _report_late(result)
    elif isinstance(result, EventSettled) and result.asset and result.asset.status == "mirrored":
        _report_mirrored(result, result.asset)
    else:
        _report_live(result)
    return held and isinstance(result, EventSettled)


def _report_live(result: MirrorResult) -> None:
    facts = log.bind(event_id=result.job.id, generation_id=result.job.generation_id)
    attempts = result.job.attempts
    if isinstance(result, EventPostponed):
        metrics.ASSETS.labels("parked" if result.parked else "postponed").inc()
        attempts -= int(result.parked)
        facts.warning("asset postponed", error=result.error, attempts=attempts, parked=result.parked)
    elif result.asset is None:
        facts.info("no asset")
    else:
        metrics.ASSETS.labels(result.asset.error).inc()
        metrics.ASSETS_GIVEN_UP.inc()
        facts.warning("asset given up", error=result.asset.error, attempts=attempts)


def _report_mirrored(result: EventSettled, asset: Asset) -> None:
    """Log success. The URL consists of settings and ids only, and has no query."""
    job = result.job
    metrics.ASSETS.labels("mirrored").inc()
    metrics.MIRROR_DELAY.labels(job.source).observe(max(0, result.now_ms - job.received_ms) / 1000)
    about = {"event_id": job.id, "generation_id": job.generation_id, "url": asset.url or ""}
    logs.info("mirrored", **about, size_bytes=asset.size_bytes or 0, attempts=job.attempts)


def _report_late(result: LateSettlement) -> None:
    job = result.job
    facts = log.bind(event_id=job.id, generation_id=job.generation_id, attempts=job.attempts)
    match result:
        case LateArrived(asset=asset, event=told):
            metrics.ASSETS.labels("late_mirrored").inc()
            facts.info("mirrored late", url=asset.url, size_bytes=asset.size_bytes, follow_up=told.id)
        case LatePostponed(error=error):
            metrics.ASSETS.labels("late_postponed").inc()
            facts.info("late asset postponed", error=error)
        case LateGivenUp(error=error):
            metrics.ASSETS.labels("late_given_up").inc()
            facts.warning("late asset given up", error=error)


def _host(job: EventJob) -> str:
    return job.asset_host or ""
