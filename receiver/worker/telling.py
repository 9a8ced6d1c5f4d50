"""The duty of telling operators: what is down or back, old, dead, low or gone. Nothing waits for it.

Each worker looks by itself; the store sees to it that each thing is told once.
"""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.operations.stages import state_of
from receiver.store import MIRROR, Store
from receiver.store.notices import (
    Observed,
    Sight,
    expect_worker,
    let_worker_go,
    look,
    tell,
    untold,
    worker_cause,
)
from receiver.threads import DaemonThreads
from receiver.worker.bucket_gates import COMMON, BucketGates
from receiver.worker.gate import Gate
from receiver.worker.host_gates import HostGates

_GONE_LEASES: Final = 3
"""A worker not seen for this many leases is gone: it says three times in each that it is there."""
_MOST_HOSTS: Final = 20
"""Senders name the hosts; a thousand that are down at once are one trouble."""

_THREADS: Final = DaemonThreads(1, name="room on disks")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TellingRules:
    """From when on something is worth telling."""

    every_s: float = 10.0
    backlog_s: float = 900.0
    disk_bytes: int = 1024**3
    secret_s: float = 24 * 3600.0
    lease_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Telling:
    """Looks now and then, and tells."""

    store: Store
    spool: str
    buckets: BucketGates
    hosts: HostGates
    folders: Mapping[str, Path] = field(default_factory=dict)
    """What fills a disk of this machine, by what it is for."""
    sources: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The fingerprints of each source's secrets."""
    rules: TellingRules = field(default_factory=TellingRules)

    async def run(self) -> None:
        """Look and tell until cancelled. A failing store is asked again later."""
        is_expected = False
        while True:
            try:
                if not is_expected:
                    await self.store.transact_promptly(expect_worker, self.spool, now_ms=clock.now_ms())
                    is_expected = True
                await self.turn()
            except StoreUnavailable as error:
                log.warning("operators not told", error=str(error))
            await asyncio.sleep(self.rules.every_s)

    async def turn(self) -> list[str]:
        """Look once; return the words that were sent."""
        now_ms = clock.now_ms()
        sight = await self.store.look(look, self.store.destinations)
        observed = [*self._seen(sight, now_ms), *self._here(), *await self._disks()]
        news = await self.store.look(untold, observed, now_ms=now_ms)
        if not news:
            return []
        told = await self.store.transact_promptly(tell, news, now_ms=now_ms)
        self.store.wake.signal(MIRROR)
        for word in told:
            log.info("operators told", word=word)
        return told

    async def leave(self) -> None:
        """Say that this worker stops, so that nobody misses it."""
        with contextlib.suppress(StoreUnavailable):
            await self.store.transact_promptly(let_worker_go, self.spool)

    def _seen(self, sight: Sight, now_ms: int) -> Iterator[Observed]:
        yield from self._destinations(sight, now_ms)
        yield self._old("mirror", sight.oldest_event_ms, now_ms)
        yield from _happenings(sight)
        yield from self._unused(sight, now_ms)
        gone_ms = now_ms - _GONE_LEASES * self.rules.lease_s * 1000
        for spool, seen_ms in sight.workers.items():
            is_gone = spool != self.spool and seen_ms < gone_ms
            what = "was killed, or its machine is gone" if is_gone else "is back"
            summary = f"The worker with the spool folder {spool} {what}."
            yield Observed(
                worker_cause(spool), is_gone, "worker_gone", "worker_back", summary, {"worker": spool}
            )

    def _destinations(self, sight: Sight, now_ms: int) -> Iterator[Observed]:
        for one in sight.destinations:
            facts = {"destination": one.name, "waiting": one.waiting.count, "error": one.waiting.error}
            is_down = state_of(one, now_ms, is_configured=True) == "down"
            # A breaker whose worker is gone is neither.
            if is_down or one.probe_ms is None:
                summary = f"The destination {one.name} is {'down; its events wait' if is_down else 'back'}."
                cause = f"destination:{one.name}"
                yield Observed(cause, is_down, "destination_down", "destination_back", summary, facts)
            yield self._old(f"destination {one.name}", one.waiting.oldest_ms, now_ms)
            if dead_ms := sight.dead_ms.get(one.name):
                facts = {"destination": one.name, "dead": one.dead, "error": one.dead_error}
                summary = f"Events for {one.name} were given up: receiver deliveries list --state dead"
                cause = f"dead:{one.name}"
                yield _happened(cause, "dead_letters", summary, facts, dead_ms)

    def _old(self, stage: str, oldest_ms: int | None, now_ms: int) -> Observed:
        age_s = 0 if oldest_ms is None else max(0, round((now_ms - oldest_ms) / 1000))
        is_old = age_s > self.rules.backlog_s
        summary = f"The oldest event that waits for {stage} has waited for {age_s} s."
        facts = {"stage": stage, "oldest_s": age_s}
        return Observed(f"backlog:{stage}", is_old, "backlog_old", "backlog_gone", summary, facts)

    def _unused(self, sight: Sight, now_ms: int) -> Iterator[Observed]:
        until_ms = now_ms - self.rules.secret_s * 1000
        for (source, mark), used_ms in sight.secrets.items():
            ours = self.sources.get(source, ())
            # The only secret that is left may rest; one that others stand beside may go.
            if mark in ours and len(ours) > 1:
                summary = f"A secret of {source} has not been used for long: remove it if it is the old one."
                facts = {"source": source, "fingerprint": f"sha256:{mark}", "last_used_ms": used_ms}
                cause = f"secret:{source}:{mark}"
                yield Observed(cause, used_ms < until_ms, "secret_unused", None, summary, facts)

    def _here(self) -> Iterator[Observed]:
        for name, gate in self.buckets.gates().items():
            known = "common" if name == COMMON else name
            yield from _gate("bucket", known, gate)
        away = [name for name, gate in self.hosts.gates().items() if gate.is_away][_MOST_HOSTS:]
        for name, gate in self.hosts.gates().items():
            if name not in away:
                yield from _gate("asset_host", name, gate)

    async def _disks(self) -> list[Observed]:
        observed = []
        for use, folder in self.folders.items():
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    usage = await asyncio.wrap_future(_THREADS.submit(shutil.disk_usage, folder))
                is_low = usage.free < self.rules.disk_bytes
                machine = socket.gethostname()
                summary = f"{usage.free} bytes are free for the {use} at {folder} on {machine}."
                facts = {"machine": machine, "folder": str(folder), "free_bytes": usage.free}
                cause = f"disk:{machine}:{use}"
                observed.append(Observed(cause, is_low, "disk_low", "disk_freed", summary, facts))
        return observed


def _gate(kind: str, name: str, gate: Gate) -> Iterator[Observed]:
    if gate.is_away or gate.has_passed:
        what = kind.replace("_", " ")
        facts = {"name": name, "error": gate.error if gate.is_away else None}
        summary = f"The {what} {name} is {'down; what needs it waits' if gate.is_away else 'back'}."
        yield Observed(f"{kind}:{name}", gate.is_away, f"{kind}_down", f"{kind}_back", summary, facts)


def _happenings(sight: Sight) -> Iterator[Observed]:
    if sight.quarantined_ms:
        summary = "A genuine webhook could not be read: receiver quarantine list"
        yield _happened("quarantine", "quarantined", summary, {}, sight.quarantined_ms)
    for source, refused_ms in sight.refused_ms.items():
        summary = f"The provider refused a generation of {source} for lack of credits."
        yield _happened(f"credits:{source}", "credits_low", summary, {"source": source}, refused_ms)


def _happened(cause: str, word: str, summary: str, facts: Mapping[str, Any], latest_ms: int) -> Observed:
    return Observed(cause, is_wrong=True, wrong=word, summary=summary, facts=facts, latest_ms=latest_ms)
