"""Then here: from a durable event to its asset in the bucket.

    mirror: read → fetch (and again, should the URL have expired) → keep → settle
    late:   mirror, for an event that went out without its asset → tell of it

Both take claimed work and return what is to be written of it; neither touches the store. What happens to the
event from there is in `receiver.deliver`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import structlog

from receiver.assets import Bucket, Fetched, NotFetched, Stored
from receiver.assets.kept import KeptDownloads
from receiver.assets.key_template import KeyTemplate
from receiver.assets.response import EXPIRED
from receiver.backoff import Backoff
from receiver.contract import COMPLETED
from receiver.errors import BucketUnavailable
from receiver.events import ASSET_MIRRORED, Asset, Event, event_id, follow_up, reread
from receiver.outcomes import FailedAttempt, Retry
from receiver.store import (
    EventJob,
    EventPostponed,
    EventSettled,
    Keeper,
    LateArrived,
    LateGivenUp,
    LateJob,
    LatePostponed,
    LateSettlement,
    NewEvent,
)
from receiver.telemetry import metrics

log = structlog.get_logger()

Fetch = Callable[[object], Awaitable[Fetched | NotFetched]]
Refresh = Callable[[Event], Awaitable[str | Retry | None]]
"""Asks the provider for another URL of an event's asset; None where there is none."""
FetchAsset = Callable[[Event], Awaitable[Fetched | NotFetched]]
Clock = Callable[[], int]
"""Milliseconds since the epoch."""
Chance = Callable[[], float]
"""A random number in [0, 1)."""
Entropy = Callable[[], bytes]
"""Ten random bytes."""

MirrorResult = EventSettled | EventPostponed
NoteKept = Callable[[EventJob], Awaitable[None]]
"""Writes down that this machine has the download of an event."""
Attempt = Callable[..., Awaitable[MirrorResult]]
"""`mirror`, with everything but the job and its rules."""

_BUCKET_FAILED: Final = "bucket: "
_KEPT_ELSEWHERE: Final = "waits for the worker that has its download: "


@dataclass(frozen=True, slots=True)
class MirrorRules:
    """How long to try for an asset, and what to call it."""

    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=2, max_s=300))
    patience_s: float = 24 * 3600
    """Seconds after its arrival for which an event waits for an asset that fails to download."""
    keys: KeyTemplate = field(default_factory=KeyTemplate)
    grace_s: float = 300
    """Seconds after its arrival in which a host may not have the file yet."""
    parks: bool = True
    """Whether an event waits for no longer than until its bucket or host is tried again."""
    late_s: float = 0
    """Seconds after that for which a completion's asset is still tried for."""
    late_backoff: Backoff = field(default_factory=lambda: Backoff(first_s=600, max_s=6 * 3600))


async def mirror(  # noqa: PLR0913  one keyword per part
    job: EventJob,
    *,
    fetch: Fetch,
    bucket: Bucket,
    rules: MirrorRules,
    clock: Clock,
    chance: Chance,
    refresh: Refresh | None = None,
    kept: KeptDownloads | None = None,
    note_kept: NoteKept | None = None,
) -> MirrorResult:
    """Bring the asset of one event into the bucket, or find that it cannot be had.

    What was downloaded stays in *kept* until whoever settles the event discards it; without *kept*, every
    attempt downloads again. What another machine has kept is waited for, whatever the URL says by now.
    """
    began_ms = clock()
    is_new = began_ms < _appears_by(job, rules)
    fetching = partial(_fetch_or_find, job, partial(fetch_asset, fetch, refresh, is_new=is_new), kept)
    if kept and note_kept:
        fetching = partial(_fetch_and_note, job, fetching, kept, note_kept)
    try:
        result, said = await _mirror(job, fetching, bucket, kept, rules, clock, chance)
    except Exception:
        log.exception("mirror crashed", event_id=job.id, generation_id=job.generation_id)
        rules = replace(rules, late_s=0)
        bug, said = NotFetched("internal_error", permanent=False), b""
        result = _not_fetched(job, bug, kept, rules, clock(), chance())
    if (error := _error(result)) is not None:
        took_ms = max(0, clock() - began_ms)
        result = replace(result, attempt=FailedAttempt(began_ms, took_ms, error, said))
    if isinstance(result, EventPostponed):
        return replace(result, kept_by=await _keeper(job, kept))
    return result


async def _mirror(
    job: EventJob,
    fetch: FetchAsset,
    bucket: Bucket,
    kept: KeptDownloads | None,
    rules: MirrorRules,
    clock: Clock,
    chance: Chance,
) -> tuple[MirrorResult, bytes]:
    """Return what became of it, and what the asset's host said if it gave no asset."""
    event = reread(job.body, source=job.source)
    if not event.expects_asset:
        return EventSettled(job, None, clock()), b""
    if event.type != COMPLETED:
        rules = replace(rules, late_s=0)
    fetched = await fetch(event)
    if isinstance(fetched, NotFetched):
        return _not_fetched(job, fetched, kept, rules, clock(), chance()), fetched.said
    try:
        stored = await _keep(job, event, fetched, bucket, rules.keys)
    except BucketUnavailable as error:
        # Our own fault, so never a reason to forward an event without its asset.
        # Without a file that lasts, each attempt costs a download.
        parked_s = error.parked_s if kept else None
        if kept:
            await kept.hold(job.id)
        why = f"{_BUCKET_FAILED}{error}"
        return _postponed(job, why, rules, clock(), chance(), parked_s=parked_s), b""
    finally:
        if not kept:
            fetched.discard()
    return EventSettled(job, _mirrored(fetched, stored), clock()), b""


def _error(result: MirrorResult) -> str | None:
    if isinstance(result, EventPostponed):
        return result.error
    return result.asset.error if result.asset else None


async def mirror_late(
    job: LateJob, *, attempt: Attempt, rules: MirrorRules, entropy: Entropy
) -> LateSettlement:
    """Try again for the asset of an event that went out without it."""
    try:
        return await _mirror_late(job, attempt, rules, entropy)
    except Exception:
        log.exception("mirror crashed", event_id=job.id, generation_id=job.generation_id)
        return LateGivenUp(job, "internal_error")


async def _mirror_late(
    job: LateJob, attempt: Attempt, rules: MirrorRules, entropy: Entropy
) -> LateSettlement:
    patience_s = (job.until_ms - job.received_ms) / 1000
    late = replace(rules, backoff=rules.late_backoff, patience_s=patience_s, late_s=0, parks=False)
    match await attempt(job, rules=late):
        case EventPostponed(due_ms=due_ms, error=error, attempt=failed):
            return LatePostponed(job, due_ms, error, failed)
        case EventSettled(asset=Asset("mirrored") as asset, now_ms=now_ms):
            return LateArrived(job, asset, _follow_up(job, now_ms, entropy()), now_ms)
        case EventSettled(asset=asset, attempt=failed):
            return LateGivenUp(job, (asset and asset.error) or "no asset", failed)


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


async def _fetch_or_find(
    job: EventJob, fetch: FetchAsset, kept: KeptDownloads | None, event: Event
) -> Fetched | NotFetched:
    """Fetch the asset, unless an earlier attempt did so on this machine."""
    download = partial(fetch, event)
    is_first = job.attempts <= 1 and job.kept_by is None
    return await (kept.fetch(job.id, download, is_first=is_first) if kept else download())


async def _fetch_and_note(
    job: EventJob, fetch: FetchAsset, kept: KeptDownloads, note_kept: NoteKept, event: Event
) -> Fetched | NotFetched:
    """Fetch the asset, and have it known before anything else is tried that this machine has it.

    Whoever took an event of which nobody had the download noted that then.
    """
    fetched = await fetch(event)
    if isinstance(fetched, Fetched) and _kept_elsewhere(job, kept):
        await note_kept(job)
    return fetched


async def _keeper(job: EventJob, kept: KeptDownloads | None) -> str | None:
    """Return the folder that has the download, if one does."""
    if kept and await kept.has(job.id):
        return kept.spool
    other = _kept_elsewhere(job, kept)
    return other.spool if other else None


async def fetch_asset(
    fetch: Fetch, refresh: Refresh | None, event: Event, *, is_new: bool = False
) -> Fetched | NotFetched:
    """Fetch the asset; where its URL does not give it any more, once more under a fresh one.

    While the event *is_new* its file may only not be there yet.
    """
    fetched = await fetch(event.output_url)
    if isinstance(fetched, Fetched) or not fetched.permanent:
        return fetched
    if is_new and fetched.may_appear:
        return replace(fetched, permanent=False)
    if refresh is None or not (fetched.may_appear or fetched.code == EXPIRED):
        return fetched
    match await refresh(event):
        case str(url):
            return _alive(fetched if url == event.output_url else await fetch(url))
        case Retry(after_s=after_s):
            return NotFetched(fetched.code, permanent=False, after_s=after_s, said=fetched.said)
        case None:
            return fetched


def _alive(fetched: Fetched | NotFetched) -> Fetched | NotFetched:
    """Go on for a file that the provider says is there, unless its host knows better."""
    if isinstance(fetched, NotFetched) and fetched.may_appear:
        return replace(fetched, permanent=False, may_appear=False)
    return fetched


async def _keep(job: EventJob, event: Event, fetched: Fetched, bucket: Bucket, keys: KeyTemplate) -> Stored:
    key = keys.key(event, event_id=job.id, received_ms=job.received_ms, asset=fetched)
    stored = await bucket.put(key, fetched, metadata=object_metadata(job.id, event))
    if stored.conflict:
        metrics.ASSET_CONFLICTS.labels(event.source).inc()
        log.warning("asset conflict", event_id=job.id, generation_id=job.generation_id, url=stored.url)
    return stored


def object_metadata(event_id: str, event: Event) -> dict[str, str]:
    """Return what an object in the bucket says of the event that it belongs to."""
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


def _not_fetched(
    job: EventJob,
    failed: NotFetched,
    kept: KeptDownloads | None,
    rules: MirrorRules,
    now_ms: int,
    chance: float,
) -> MirrorResult:
    if keeper := _kept_elsewhere(job, kept):
        if now_ms - (keeper.seen_ms or 0) <= rules.patience_s * 1000:
            why = f"{_KEPT_ELSEWHERE}{failed.code}"
            return _postponed(job, why, rules, now_ms, chance, parked_s=failed.parked_s)
        log.warning(
            "kept download lost", event_id=job.id, generation_id=job.generation_id, spool=keeper.spool
        )
    out_of_patience = now_ms - job.received_ms > rules.patience_s * 1000
    if failed.permanent:
        return EventSettled(job, Asset("failed", error=failed.code), now_ms)
    if out_of_patience:
        return _given_up_for_now(job, failed, rules, now_ms, chance)
    postponed = _postponed(
        job, failed.code, rules, now_ms, chance, after_s=failed.after_s, parked_s=failed.parked_s
    )
    if failed.may_appear and not failed.after_s:  # the last look is not much later than it has to be
        return replace(postponed, due_ms=min(postponed.due_ms, max(now_ms, _appears_by(job, rules))))
    return postponed


def _appears_by(job: EventJob, rules: MirrorRules) -> int:
    """When the file is there, if it ever will be."""
    return job.received_ms + int(rules.grace_s * 1000)


def _kept_elsewhere(job: EventJob, kept: KeptDownloads | None) -> Keeper | None:
    """Return who else has the download."""
    return None if kept and job.kept_by and job.kept_by.spool == kept.spool else job.kept_by


def _given_up_for_now(
    job: EventJob, failed: NotFetched, rules: MirrorRules, now_ms: int, chance: float
) -> EventSettled:
    """Let the event go without its asset, which is tried for in the background if the rules say so."""
    if not rules.late_s:
        return EventSettled(job, Asset("failed", error=failed.code), now_ms)
    until_ms = now_ms + int(rules.late_s * 1000)
    delay_s = max(failed.after_s or 0, rules.late_backoff.delay_s(1, chance))
    asset = Asset("failed", error=failed.code, retried_until_ms=until_ms)
    return EventSettled(job, asset, now_ms, retry_ms=now_ms + int(delay_s * 1000))


def _postponed(
    job: EventJob,
    error: str,
    rules: MirrorRules,
    now_ms: int,
    chance: float,
    *,
    after_s: float | None = None,
    parked_s: float | None = None,
) -> EventPostponed:
    """Put the asset off, at least as long as the other side asked for, or until it is tried again."""
    is_parked = rules.parks and parked_s is not None
    delay_s = (parked_s or 0) if is_parked else rules.backoff.delay_s(job.attempts, chance)
    due_ms = now_ms + int(max(after_s or 0, delay_s) * 1000)
    return EventPostponed(job, due_ms, error, parked=is_parked)
