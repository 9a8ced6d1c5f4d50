"""The worker's life cycle: start the duties, run until told to stop, drain."""

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import structlog

from receiver.assets.by_source import BucketsBySource
from receiver.assets.kept import KeptDownloads
from receiver.errors import StoreUnavailable
from receiver.operations.pruning import Retention
from receiver.store import Store
from receiver.store.agenda import LATE_ASSETS, WITH_ASSET, WITHOUT_ASSET, deliveries_to
from receiver.store.backfill import count_missed
from receiver.store.future import Present
from receiver.store.jobs import Sources
from receiver.store.wake import FORWARD, LATE, MIRROR, SETTLE
from receiver.worker.bucket_gates import BucketGates
from receiver.worker.clockwatch import ClockWatch, watch_clock
from receiver.worker.forwarding import Forwarding, Outlet
from receiver.worker.host_gates import HostGates
from receiver.worker.keeping import seen_every_s, stay_seen, stop_being_seen, sweep_kept
from receiver.worker.leases import RENEWALS_PER_LEASE, Leases
from receiver.worker.loop import Lookout, Settling, work_until
from receiver.worker.mirroring import (
    Gates,
    Mirror,
    Mirroring,
    MirrorLate,
    MirrorLimits,
    late_mirroring,
    live_mirroring,
    sources_by_bucket,
)
from receiver.worker.outages import OutageNotes
from receiver.worker.pruning import keep_pruning
from receiver.worker.reconcile_pass import Account
from receiver.worker.reconciling import ReconcileRules, Reconciling
from receiver.worker.telling import Telling

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Timing:
    """The worker's times, in seconds."""

    lease_s: float = 60.0
    """How long until a dead worker's work is taken over. Living workers renew their leases."""
    poll_s: float = 1.0
    """How often to look for work that no signal announced: retries, and other processes on SQLite."""
    drain_s: float = 20.0
    """How long running work may take after `stop`; then it is given back."""


@dataclass(frozen=True, slots=True)
class Worker:
    """All duties on one store."""

    store: Store
    mirror: Mirror
    outlets: Sequence[Outlet]
    kept: KeptDownloads
    """Downloads that survive a failed attempt."""
    buckets: BucketGates
    """The gates before the buckets that *mirror* uses; *hosts* has those before asset hosts."""
    hosts: HostGates
    accounts: Sequence[Account] = ()
    """Sources to reconcile."""
    reconcile: ReconcileRules = field(default_factory=ReconcileRules)
    limits: MirrorLimits = field(default_factory=MirrorLimits)
    timing: Timing = field(default_factory=Timing)
    mirror_late: MirrorLate | None = None
    """Retries late assets; None leaves them to other workers."""
    with_own_bucket: Collection[str] = ()
    """Sources whose assets go to their own bucket."""
    telling: Telling | None = None
    """Tells operators what they need to know; None if no destination wants that."""
    pulled: Collection[str] = ()
    """Destinations whose consumers pull their messages."""
    retention: Retention = field(default_factory=Retention)
    deleting_from: BucketsBySource | None = None
    """The buckets to delete files from that are past their retention."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Ask the worker to finish its running work and return from `run`."""
        self._stop.set()
        self.store.wake.signal_all()

    async def run(self) -> None:
        """Work until `stop`, then finish running work or give it back."""
        leases = Leases(self.store, lease_s=self.timing.lease_s)
        names = [outlet.name for outlet in self.outlets]
        lookout = Lookout(self.store, names)
        outages = OutageNotes(self.store, self.buckets, self.hosts, every_s=self.timing.poll_s)
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(helper) for helper in self._helpers(leases, lookout, outages)]
            duties = [group.create_task(duty) for duty in self._duties(leases, lookout)]
            log.info("worker started", destinations=names, spool=self.kept.spool)
            await self._stop.wait()
            _, unfinished = await asyncio.wait(duties, timeout=self.timing.drain_s)
            for task in (*unfinished, *helpers):
                task.cancel()
        await leases.release_unfinished()
        for notes in (self.telling, outages):
            if notes:
                await notes.leave()
        await stop_being_seen(self.store, self.kept.spool)
        log.info("worker stopped")

    def _helpers(
        self, leases: Leases, lookout: Lookout, outages: OutageNotes
    ) -> list[Coroutine[Any, Any, None]]:
        """Return the tasks to cancel at the end, not to wait for: reconciling resumes where it was."""
        seen = stay_seen(self.store, self.kept.spool, every_s=seen_every_s(self.timing.lease_s))
        offering = offer_backfill(self.store, [*(outlet.name for outlet in self.outlets), *self.pulled])
        looking = work_until(self._stop, lookout.turn, woken=asyncio.Event(), poll_s=self.timing.poll_s)
        return [
            leases.keep(),
            leases.recall(),
            looking,
            self.store.listen(),
            *(notes.run() for notes in (self.telling, outages) if notes),
            offering,
            self._watching(),
            keep_pruning(self.store, self.retention, self.deleting_from),
            *(Reconciling(self.store, leases, one, self.reconcile).run() for one in self.accounts),
            seen,
            sweep_kept(self.store, self.kept),
        ]

    def _watching(self) -> Coroutine[Any, Any, None]:
        present = Present(
            now_ms=0,
            lease_ms=int(self.timing.lease_s * 1000),
            destinations=tuple(outlet.name for outlet in self.outlets),
            pulled=self.pulled,
            reconcile_ms=int(self.reconcile.interval_s * 1000),
        )
        every_s = self.timing.lease_s / RENEWALS_PER_LEASE
        return watch_clock(self.store, present, every_s=every_s, watch=ClockWatch())

    def _duties(self, leases: Leases, lookout: Lookout) -> list[Coroutine[Any, Any, None]]:
        settling = Settling(self.store, leases, self.mirror)
        settle = work_until(self._stop, settling.turn, woken=lookout.subscribe(SETTLE, WITHOUT_ASSET))
        buckets, late = sources_by_bucket(self.with_own_bucket), self.mirror_late
        return [
            *(self._live_duty(leases, lookout, sources) for sources in buckets),
            *(self._late_duty(leases, lookout, late, sources) for sources in buckets if late),
            settle,
            *(self._forwarding_duty(leases, lookout, outlet) for outlet in self.outlets),
        ]

    def _live_duty(self, leases: Leases, lookout: Lookout, sources: Sources) -> Coroutine[Any, Any, None]:
        woken = lookout.subscribe(MIRROR, WITH_ASSET)
        mirroring = live_mirroring(
            self.store,
            leases,
            self.mirror,
            limits=self.limits,
            woken=woken,
            sources=sources,
            kept=self.kept,
            gates=self._gates(sources),
        )
        return self._work_and_drain(mirroring, woken, self.store.handover.of_events(mirroring, sources))

    def _gates(self, sources: Sources) -> Gates:
        return Gates(self.buckets.gate(sources.only), self.hosts)

    def _late_duty(
        self, leases: Leases, lookout: Lookout, mirror: MirrorLate, sources: Sources
    ) -> Coroutine[Any, Any, None]:
        woken, gates = lookout.subscribe(LATE, LATE_ASSETS), self._gates(sources)
        mirroring = late_mirroring(self.store, leases, mirror, woken=woken, sources=sources, gates=gates)
        return self._work_and_drain(mirroring, woken)

    def _forwarding_duty(self, leases: Leases, lookout: Lookout, outlet: Outlet) -> Coroutine[Any, Any, None]:
        woken = lookout.subscribe(FORWARD, deliveries_to(outlet.name))
        forwarding = Forwarding(self.store, leases, outlet, woken=woken)
        handover = self.store.handover.of_deliveries(outlet.name, forwarding)
        return self._work_and_drain(forwarding, woken, handover)

    async def _work_and_drain(
        self,
        duty: Mirroring[Any] | Forwarding,
        woken: asyncio.Event,
        handover: AbstractContextManager[None] | None = None,
    ) -> None:
        try:
            with handover or nullcontext():
                await work_until(self._stop, duty.turn, woken=woken)
            await duty.drain()
        finally:
            await duty.abandon()


async def offer_backfill(store: Store, destinations: Sequence[str]) -> None:
    """Report which *destinations* got none of the recently settled events, and the command for that."""
    for name in destinations:
        try:
            missed = await store.transact(count_missed, name)
        except StoreUnavailable:
            return  # Only advice, repeated at the next start.
        if missed:
            command = f"receiver destinations backfill {name} --dry-run"
            log.info("destination has missed events", destination=name, events=missed, to_see_them=command)
