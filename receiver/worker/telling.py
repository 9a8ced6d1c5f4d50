"""Tells operators what is down or back, old, dead, low or gone. Nothing waits for it.

Each worker checks separately; the store makes sure that each thing is reported once.
"""

import asyncio
import contextlib
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import structlog

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.events import utc_time
from receiver.operations.stages import state_of
from receiver.operations.status import rooms
from receiver.store import Store
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
from receiver.store.outages import ASSET_HOST, BUCKET, COMMON_BUCKET, Outage
from receiver.store.spools import gone_after_s
from receiver.store.wake import MIRROR
from receiver.telemetry.redact import fingerprint
from receiver.worker.bucket_gates import BucketGates
from receiver.worker.host_gates import HostGates

_SILENCES: Final = 3
"""A worker is missed after it has been gone for this many times its reporting interval."""
_MOST_AT_ONCE: Final = 20
"""Senders choose the hosts, so a thousand down at once are one problem."""

STEPS: Final = {
    "destination_down": ("receiver destinations list", "a-destination-is-down"),
    "bucket_down": ("receiver check", "the-bucket-is-down"),
    "asset_host_down": ("receiver events list --state pending --oldest-first", "events-wait-for-their-asset"),
    "backlog_old": ("receiver status", "when-something-is-wrong"),
    "dead_letters": ("receiver deliveries list --state dead", "dead-letters"),
    "quarantined": ("receiver quarantine list --state open", "quarantine"),
    "secret_unused": ("receiver config", "reload-the-settings"),
    "credits_low": ("receiver submissions list --state refused", "credits-run-out"),
    "disk_low": ("receiver check", "a-disk-fills-up"),
    "worker_gone": ("receiver workers", "a-process-is-down"),
}
"""By the word that reports it: a command, and the section of docs/operations.md."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TellingRules:
    """When something is worth reporting."""

    every_s: float = 10.0
    backlog_s: float = 900.0
    disk_bytes: int = 1024**3
    secret_s: float = 24 * 3600.0
    lease_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Telling:
    """Checks at intervals, and tells."""

    store: Store
    spool: str
    buckets: BucketGates
    hosts: HostGates
    folders: Mapping[str, Path] = field(default_factory=dict)
    """The folders that fill this machine's disks, by what they are for."""
    sources: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The fingerprints of each source's secrets."""
    rules: TellingRules = field(default_factory=TellingRules)

    async def run(self) -> None:
        """Check and tell until cancelled. A failing store is tried again later."""
        is_expected = False
        while True:
            try:
                if not is_expected:
                    await self.store.transact_promptly(expect_worker, self.spool, now_ms=clock.now_ms())
                    is_expected = True
                await self.turn()
            except StoreUnavailable as error:
                log.warning("operators not notified", error=str(error))
            await asyncio.sleep(self.rules.every_s)

    async def turn(self) -> list[str]:
        """Check once; return the words that were sent."""
        now_ms = clock.now_ms()
        sight = await self.store.look(look, self.store.destinations)
        observed = [*self._seen(sight, now_ms), *self._outages(sight, now_ms), *await self._disks()]
        news = await self.store.look(untold, observed, now_ms=now_ms)
        if not news:
            return []
        told = await self.store.transact_promptly(tell, [with_steps(one) for one in news], now_ms=now_ms)
        self.store.wake.signal(MIRROR)
        for word in told:
            log.info("operators notified", word=word)
        return told

    async def leave(self) -> None:
        """Record that this worker stops, so that nobody misses it."""
        with contextlib.suppress(StoreUnavailable):
            await self.store.transact_promptly(let_worker_go, self.spool)

    def _seen(self, sight: Sight, now_ms: int) -> Iterator[Observed]:
        yield from self._destinations(sight, now_ms)
        yield self._old("mirror", "its asset", sight.oldest_event_ms, now_ms)
        yield from _happenings(sight)
        yield from self._unused(sight)
        gone_ms = now_ms - _SILENCES * gone_after_s(self.rules.lease_s) * 1000
        for one in sight.workers:
            is_gone = one.id != self.spool and one.seen_ms < gone_ms
            what = "was killed, or its machine is gone" if is_gone else "is back"
            facts = {"worker": one.id, **(asdict(one.process) if one.process else {})}
            summary = f"{one.title} {what}."
            yield Observed(worker_cause(one.id), is_gone, "worker_gone", "worker_back", summary, facts)

    def _destinations(self, sight: Sight, now_ms: int) -> Iterator[Observed]:
        for one in sight.destinations:
            facts = {"destination": one.name, "waiting": one.waiting.count, "error": one.waiting.error}
            is_down = state_of(one, now_ms, is_configured=True) == "down"
            # A breaker whose worker is gone is neither.
            if is_down or one.probe_ms is None:
                summary = f"The destination {one.name} is {'down; its events wait' if is_down else 'back'}."
                cause = f"destination:{one.name}"
                yield Observed(cause, is_down, "destination_down", "destination_back", summary, facts)
            stage = f"destination {one.name}"
            yield self._old(stage, f"the {stage}", one.waiting.oldest_ms, now_ms)
            if dead_ms := sight.dead_ms.get(one.name):
                facts = {"destination": one.name, "dead": one.dead, "error": one.dead_error}
                summary = f"Events for {one.name} were given up."
                cause = f"dead:{one.name}"
                yield _happened(cause, "dead_letters", summary, facts, dead_ms)

    def _old(self, stage: str, awaited: str, oldest_ms: int | None, now_ms: int) -> Observed:
        age_s = 0 if oldest_ms is None else max(0, round((now_ms - oldest_ms) / 1000))
        is_old = age_s > self.rules.backlog_s
        summary = f"The oldest event that waits for {awaited} has waited for {age_s} s."
        if not is_old:
            summary = f"No event has waited for {awaited} for more than {self.rules.backlog_s:g} s any more."
        facts = {"stage": stage, "oldest_s": age_s}
        return Observed(f"backlog:{stage}", is_old, "backlog_old", "backlog_gone", summary, facts)

    def _unused(self, sight: Sight) -> Iterator[Observed]:
        latest_ms = _latest_uses(sight)
        for (source, mark), used_ms in sight.secrets.items():
            # The only secret left may go unused, and so may all secrets while nothing arrives. A secret can
            # go if others are used beside it.
            if mark in self.sources.get(source, ()):
                is_unused = latest_ms[source] - used_ms > self.rules.secret_s * 1000
                name = f"sha256:{mark}"
                since = f"{utc_time(used_ms):%Y-%m-%dT%H:%MZ}"
                summary = (
                    f"The secret {name} of {source} was last of use at {since}, and another since: "
                    "remove it if it is the old one."
                )
                facts = {"source": source, "fingerprint": name, "last_used": since}
                yield Observed(f"secret:{source}:{mark}", is_unused, "secret_unused", None, summary, facts)

    def _outages(self, sight: Sight, now_ms: int) -> Iterator[Observed]:
        """Report what any worker finds down; report recovery only if it works for this one."""
        for kind, gates in ((BUCKET, self.buckets.gates), (ASSET_HOST, self.hosts.gates)):
            down = {one.name: one for one in sight.outages if one.kind == kind and one.lasts(now_ms)}
            for one in list(down.values())[:_MOST_AT_ONCE]:
                yield _outage(one, is_down=True)
            for name, gate in gates.items():
                if gate.has_passed and not gate.is_down and name not in down:
                    yield _outage(Outage(kind, name, "", now_ms, now_ms), is_down=False)

    async def _disks(self) -> list[Observed]:
        return [
            _disk(use, self.folders[use], room.free, is_low=room.free < self.rules.disk_bytes)
            for use, room in (await rooms(self.folders)).items()
        ]


def _latest_uses(sight: Sight) -> Mapping[str, int]:
    """Return when any secret of a source was last used, by source."""
    latest_ms: dict[str, int] = {}
    for (source, _), used_ms in sight.secrets.items():
        latest_ms[source] = max(used_ms, latest_ms.get(source, 0))
    return latest_ms


def _disk(use: str, folder: Path, free_bytes: int, *, is_low: bool) -> Observed:
    machine = socket.gethostname()
    free = f"{free_bytes / 1024**3:.1f} GiB" if free_bytes >= 1024**3 else f"{free_bytes // 1024**2} MiB"
    summary = f"{free} are free for the {use} at {folder} on {machine}."
    facts = {"machine": machine, "folder": str(folder), "free_bytes": free_bytes}
    # Two workers on one machine may have folders on different disks, so one's room says nothing about the
    # other's.
    cause = f"disk:{machine}:{fingerprint(str(folder.absolute()))}:{use}"
    return Observed(cause, is_low, "disk_low", "disk_freed", summary, facts)


def _outage(one: Outage, *, is_down: bool) -> Observed:
    name = "common" if one.name == COMMON_BUCKET else one.name
    facts = {"name": name, "error": one.error or None}
    summary = f"{one.title} is {'down; what needs it waits' if is_down else 'back'}."
    return Observed(f"{one.kind}:{name}", is_down, f"{one.kind}_down", f"{one.kind}_back", summary, facts)


def _happenings(sight: Sight) -> Iterator[Observed]:
    if sight.quarantined_ms:
        summary = "A genuine webhook could not be read."
        yield _happened("quarantine", "quarantined", summary, {}, sight.quarantined_ms)
    for one in sight.credits_refused:
        left = "" if one.left is None else f": {one.left} were left"
        summary = f"The provider refused a generation of {one.source} for lack of credits{left}."
        facts = {"source": one.source, "left": one.left}
        yield _happened(f"credits:{one.source}", "credits_low", summary, facts, one.at_ms)


def _happened(cause: str, word: str, summary: str, facts: Mapping[str, Any], latest_ms: int) -> Observed:
    return Observed(cause, is_wrong=True, wrong=word, summary=summary, facts=facts, latest_ms=latest_ms)


def with_steps(one: Observed) -> Observed:
    """Add what to do about it, if something is wrong."""
    if not one.is_wrong:
        return one
    command, section = STEPS[one.wrong]
    return replace(one, steps={"next": command, "runbook": f"docs/operations.md#{section}"})
