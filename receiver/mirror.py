"""Then here: from a durable event to its asset in the bucket.

    Mirror:     read → fetch (and again, should the URL have expired) → keep → settle
    MirrorLate: Mirror, for an event that was sent without its asset → report it

Both take claimed work and return what to write about it; neither touches the store. What happens to the
event from there is in `receiver.deliver`.
"""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import structlog

from receiver import tracing
from receiver.assets import Begin, Bucket, Early, Fetched, NotFetched, Stored
from receiver.assets.kept import KeptDownloads
from receiver.assets.object_keys import KeyTemplate
from receiver.assets.response import EXPIRED
from receiver.backoff import Backoff
from receiver.contract import COMPLETED
from receiver.errors import BucketUnavailable
from receiver.events import ASSET_MIRRORED, Asset, Event, event_id, follow_up, reread
from receiver.outcomes import FailedAttempt, Retry
from receiver.store.jobs import EventJob, Keeper, LateJob
from receiver.store.late import LateArrived, LateGivenUp, LatePostponed, LateSettlement
from receiver.store.record import NewEvent
from receiver.store.settlements import EventPostponed, EventSettled
from receiver.telemetry import metrics
from receiver.telemetry.redact import redact

log = structlog.get_logger()

Fetch = Callable[[object, Begin | None], Awaitable[Fetched | NotFetched]]
Refresh = Callable[[Event], Awaitable[str | Retry | None]]
"""Ask the provider for another URL of an event's asset; None if there is none."""
Clock = Callable[[], int]
"""Milliseconds since the epoch."""
Chance = Callable[[], float]
"""A random number in [0, 1)."""
Entropy = Callable[[], bytes]
"""Ten random bytes."""

MirrorResult = EventSettled | EventPostponed
NoteKept = Callable[[EventJob], Awaitable[None]]
"""Record that this machine has the download of an event."""

_BUCKET_FAILED: Final = "bucket: "
_KEPT_ELSEWHERE: Final = "waits for the worker that has its download: "


@dataclass(frozen=True, slots=True)
class MirrorRules:
    """How long to retry an asset, and how to name it."""

    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=2, max_s=300))
    patience_s: float = 24 * 3600
    """Seconds after its arrival that an event waits for an asset that fails to download."""
    keys: KeyTemplate = field(default_factory=KeyTemplate)
    grace_s: float = 300
    """Seconds after its arrival in which the host may not have published the file yet."""
    parks: bool = True
    """Whether an event waits no longer than until the next probe of its bucket or host."""
    late_s: float = 0
    """Seconds after that in which a completion's asset is still retried."""
    late_backoff: Backoff = field(default_factory=lambda: Backoff(first_s=600, max_s=6 * 3600))


@dataclass(frozen=True, slots=True)
class Mirror:
    """Stores the assets of events in the bucket, or finds that they are not available.

    A download stays in *kept* until the event is settled. Without *kept*, every attempt downloads again. If
    another machine has kept the download, the event waits for it, whatever the URL returns now.
    """

    fetch: Fetch
    bucket: Bucket
    rules: MirrorRules
    clock: Clock
    chance: Chance
    refresh: Refresh | None = None
    kept: KeptDownloads | None = None
    note_kept: NoteKept | None = None

    async def __call__(self, job: EventJob) -> MirrorResult:
        """Try to mirror the asset of one event."""
        began_ms = self.clock()
        try:
            result, said = await self._mirror(job, in_grace=began_ms < _grace_ends_ms(job, self.rules))
        except Exception:
            log.exception("mirror crashed", event_id=job.id, generation_id=job.generation_id)
            bug, said = NotFetched("internal_error", permanent=False), b""
            result = self._not_fetched(job, bug, may_come_late=False)
        if (error := _error(result)) is not None:
            took_ms = max(0, self.clock() - began_ms)
            result = replace(result, attempt=FailedAttempt(began_ms, took_ms, error, said))
        if tracing.is_on():
            _trace(result, began_ms)
        if isinstance(result, EventPostponed):
            return replace(result, kept_by=await self._keeper(job))
        return result

    async def _mirror(self, job: EventJob, *, in_grace: bool) -> tuple[MirrorResult, bytes]:
        """Return its outcome, and the host's answer if that was not the asset."""
        event = reread(job.body, source=job.source)
        if not event.expects_asset:
            return EventSettled(job, None, self.clock()), b""
        with ExitStack() as begun:
            begin = partial(self._begin, job, event, begun)
            fetched = await self._fetch_or_find(job, event, begin, in_grace=in_grace)
            if isinstance(fetched, NotFetched):
                return self._not_fetched(job, fetched, may_come_late=event.type == COMPLETED), fetched.said
            try:
                stored = await self._keep(job, event, fetched)
            except BucketUnavailable as error:
                return await self._bucket_failed(job, error), b""
            finally:
                if not self.kept:
                    fetched.discard()
        return EventSettled(job, _mirrored(fetched, stored), self.clock()), b""

    def _begin(self, job: EventJob, event: Event, begun: ExitStack, coming: Fetched) -> Early | None:
        """Begin to upload what is *coming*, if its name is known; with *begun* this is undone or done."""
        if self.rules.keys.has_digest:
            return None
        key = self.rules.keys.key(event, event_id=job.id, received_ms=job.received_ms, asset=coming)
        early = self.bucket.begin(key, coming, metadata=object_metadata(job.id, event))
        if early:
            begun.callback(early.abandon)
        return early

    async def _fetch_or_find(
        self, job: EventJob, event: Event, begin: Begin, *, in_grace: bool
    ) -> Fetched | NotFetched:
        """Fetch the asset, unless an earlier attempt did so on this machine.

        First record that this machine has it. A worker that claimed an event without a download has already
        done so.
        """
        download = partial(self.fetch_asset, event, begin, in_grace=in_grace)
        if not self.kept:
            return await download()
        is_first = job.attempts <= 1 and job.kept_by is None
        fetched = await self.kept.fetch(job.id, download, is_first=is_first)
        if self.note_kept and isinstance(fetched, Fetched) and self._kept_elsewhere(job):
            await self.note_kept(job)
        return fetched

    async def fetch_asset(
        self, event: Event, begin: Begin | None = None, *, in_grace: bool = False
    ) -> Fetched | NotFetched:
        """Fetch the asset. If its URL no longer works, try once more with a fresh one.

        While it is *in_grace*, the file may not have been published yet.
        """
        fetched = await self.fetch(event.output_url, begin)
        if isinstance(fetched, Fetched) or not fetched.permanent:
            return fetched
        if in_grace and fetched.may_appear:
            return replace(fetched, permanent=False)
        if self.refresh is None or not (fetched.may_appear or fetched.code == EXPIRED):
            return fetched
        match await self.refresh(event):
            case str(url):
                return _alive(fetched if url == event.output_url else await self.fetch(url, begin))
            case Retry(after_s=after_s):
                return NotFetched(fetched.code, permanent=False, after_s=after_s, said=fetched.said)
            case None:
                return fetched

    async def _keep(self, job: EventJob, event: Event, fetched: Fetched) -> Stored:
        key = self.rules.keys.key(event, event_id=job.id, received_ms=job.received_ms, asset=fetched)
        stored = await self.bucket.put(key, fetched, metadata=object_metadata(job.id, event))
        if stored.conflict:
            metrics.ASSET_CONFLICTS.labels(event.source).inc()
            log.warning("asset conflict", event_id=job.id, generation_id=job.generation_id, url=stored.url)
        return stored

    async def _bucket_failed(self, job: EventJob, error: BucketUnavailable) -> EventPostponed:
        """Retry: a fault of ours is never a reason to forward an event without its asset."""
        # Without a kept file, each attempt costs a download.
        parked_s = error.parked_s if self.kept else None
        if self.kept:
            await self.kept.hold(job.id)
        return self._postponed(job, f"{_BUCKET_FAILED}{error}", self.clock(), parked_s=parked_s)

    async def _keeper(self, job: EventJob) -> str | None:
        """Return the folder with the download, if any."""
        if self.kept and await self.kept.has(job.id):
            return self.kept.spool
        other = self._kept_elsewhere(job)
        return other.spool if other else None

    def _kept_elsewhere(self, job: EventJob) -> Keeper | None:
        """Return the other folder that has the download."""
        is_ours = self.kept and job.kept_by and job.kept_by.spool == self.kept.spool
        return None if is_ours else job.kept_by

    def _not_fetched(self, job: EventJob, failed: NotFetched, *, may_come_late: bool) -> MirrorResult:
        now_ms = self.clock()
        if keeper := self._kept_elsewhere(job):
            if now_ms - (keeper.seen_ms or 0) <= self.rules.patience_s * 1000:
                why = f"{_KEPT_ELSEWHERE}{failed.code}"
                return self._postponed(job, why, now_ms, parked_s=failed.parked_s)
            log.warning(
                "kept download lost", event_id=job.id, generation_id=job.generation_id, spool=keeper.spool
            )
        if failed.permanent:
            return EventSettled(job, Asset("failed", error=failed.code), now_ms)
        ends_ms = job.received_ms + int(self.rules.patience_s * 1000)
        if now_ms > ends_ms:
            return self._given_up_for_now(job, failed, now_ms, may_come_late=may_come_late)
        postponed = self._postponed(
            job, failed.code, now_ms, after_s=failed.after_s, parked_s=failed.parked_s
        )
        # Never later than the end of patience, even if the host asked for more. Nor later than the end of the
        # grace period, if the host named no time.
        by_ms = ends_ms + 1
        if failed.may_appear and not failed.after_s:
            by_ms = min(by_ms, max(now_ms, _grace_ends_ms(job, self.rules)))
        return replace(postponed, due_ms=min(postponed.due_ms, by_ms))

    def _given_up_for_now(
        self, job: EventJob, failed: NotFetched, now_ms: int, *, may_come_late: bool
    ) -> EventSettled:
        """Forward the event without its asset, which is retried in the background if the rules say so."""
        if not (may_come_late and self.rules.late_s):
            return EventSettled(job, Asset("failed", error=failed.code), now_ms)
        until_ms = now_ms + int(self.rules.late_s * 1000)
        delay_s = max(failed.after_s or 0, self.rules.late_backoff.delay_s(1, self.chance()))
        asset = Asset("failed", error=failed.code, retried_until_ms=until_ms)
        return EventSettled(job, asset, now_ms, retry_ms=now_ms + int(delay_s * 1000))

    def _postponed(
        self,
        job: EventJob,
        error: str,
        now_ms: int,
        *,
        after_s: float | None = None,
        parked_s: float | None = None,
    ) -> EventPostponed:
        """Postpone the asset, at least as long as the other side asked, or until the next probe."""
        is_parked = self.rules.parks and parked_s is not None
        delay_s = (parked_s or 0) if is_parked else self.rules.backoff.delay_s(job.attempts, self.chance())
        due_ms = now_ms + int(max(after_s or 0, delay_s) * 1000)
        return EventPostponed(job, due_ms, error, parked=is_parked)


@dataclass(frozen=True, slots=True)
class MirrorLate:
    """Retries the assets of events that were sent without them."""

    mirror: Mirror
    """The mirror whose rules apply; it must keep no downloads."""
    entropy: Entropy

    async def __call__(self, job: LateJob) -> LateSettlement:
        """Try to mirror one late asset."""
        try:
            return await self._mirror(job)
        except Exception:
            log.exception("mirror crashed", event_id=job.id, generation_id=job.generation_id)
            return LateGivenUp(job, "internal_error")

    async def _mirror(self, job: LateJob) -> LateSettlement:
        rules, patience_s = self.mirror.rules, (job.until_ms - job.received_ms) / 1000
        late = replace(rules, backoff=rules.late_backoff, patience_s=patience_s, late_s=0, parks=False)
        match await replace(self.mirror, rules=late)(job):
            case EventPostponed(due_ms=due_ms, error=error, attempt=failed):
                return LatePostponed(job, due_ms, error, failed)
            case EventSettled(asset=Asset("mirrored") as asset, now_ms=now_ms):
                return LateArrived(job, asset, _follow_up(job, now_ms, self.entropy()), now_ms)
            case EventSettled() as settled:
                why = settled.asset and settled.asset.error
                return LateGivenUp(job, why or "no asset", settled.attempt)


def _trace(result: MirrorResult, began_ms: int) -> None:
    """Trace the attempt, if there was anything to mirror."""
    job, why = result.job, _error(result)
    asset = result.asset if isinstance(result, EventSettled) else None
    if asset is None and why is None:
        return
    attributes: dict[str, str | int] = {
        "receiver.source": job.source,
        "receiver.event.id": job.id,
        "receiver.attempt": job.attempts,
    }
    if asset and asset.url:
        attributes |= {"receiver.asset.url": asset.url, "receiver.asset.size": asset.size_bytes or 0}
    error, line = (None, "") if why is None else (why.partition(":")[0], redact(why))
    tracing.tell(job.generation_id, tracing.Ended("mirror", "INTERNAL", began_ms, attributes, error, line))


def _error(result: MirrorResult) -> str | None:
    if isinstance(result, EventPostponed):
        return result.error
    return result.asset.error if result.asset else None


def _follow_up(job: LateJob, now_ms: int, entropy: bytes) -> NewEvent:
    return NewEvent(
        event_id(now_ms, entropy),
        job.source,
        job.generation_id,
        ASSET_MIRRORED,
        None,
        follow_up(job.body, now_ms=now_ms),
        "mirror",
        now_ms,
    )


def _alive(fetched: Fetched | NotFetched) -> Fetched | NotFetched:
    """Keep retrying a file that the provider still lists, unless its host's answer is final."""
    if isinstance(fetched, NotFetched) and fetched.may_appear:
        return replace(fetched, permanent=False, may_appear=False)
    return fetched


def object_metadata(event_id: str, event: Event) -> dict[str, str]:
    """Return the metadata that links an object in the bucket to its event."""
    return {"event-id": event_id, "generation-id": event.generation_id, "source": event.source}


def _mirrored(fetched: Fetched, stored: Stored) -> Asset:
    return Asset(
        "mirrored",
        url=stored.url,
        content_type=fetched.content_type,
        size_bytes=fetched.size_bytes,
        sha256=fetched.sha256,
        width=fetched.width,
        height=fetched.height,
        duration_s=fetched.duration_s,
    )


def _grace_ends_ms(job: EventJob, rules: MirrorRules) -> int:
    """When the file should be available, if ever."""
    return job.received_ms + int(rules.grace_s * 1000)
