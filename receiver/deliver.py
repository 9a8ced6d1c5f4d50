"""Then here: from a durable event to a mirrored asset and a message in every queue.

    mirror:  read → fetch (and again, should the URL have expired) → keep → settle
    late:    mirror, for an event that went out without its asset → tell of it
    forward: read → envelope → send → settle

Both take claimed work and return what is to be written of it; neither touches the store.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, assert_never

import structlog

from receiver.assets import Bucket, Fetched, NotFetched, Stored
from receiver.assets.kept import KeptDownloads
from receiver.assets.key_template import KeyTemplate
from receiver.assets.response import EXPIRED
from receiver.backoff import Backoff
from receiver.contract import COMPLETED
from receiver.destinations import Destination, Message
from receiver.errors import BucketUnavailable
from receiver.events import (
    ASSET_MIRRORED,
    TYPE_PREFIX,
    Asset,
    Event,
    Unreadable,
    envelope,
    event_id,
    follow_up,
    normalize,
)
from receiver.expressions import NotApplicable
from receiver.outcomes import Delivered, GivenUp, Judged, Outcome, Parked, Retry
from receiver.routing import EVERYTHING, Routing
from receiver.store import (
    DeliveryConfirmed,
    DeliveryDead,
    DeliveryJob,
    DeliveryPostponed,
    DeliveryUnwanted,
    EventJob,
    EventPostponed,
    EventSettled,
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

Judge = Callable[[Mapping[str, Outcome]], Mapping[str, Judged]]
"""Parks, among the outcomes of one batch by event id, the failures that are the destination's own."""

_BUCKET_FAILED: Final = "bucket: "

MirrorResult = EventSettled | EventPostponed
Attempt = Callable[..., Awaitable[MirrorResult]]
"""`mirror`, with everything but the job and its rules."""
ForwardResult = DeliveryConfirmed | DeliveryPostponed | DeliveryUnwanted | DeliveryDead


@dataclass(frozen=True, slots=True)
class Unwanted:
    """What was undecided is decided: the destination does not want the message."""


@dataclass(frozen=True, slots=True)
class MirrorRules:
    """How long to try for an asset, and what to call it."""

    backoff: Backoff = field(default_factory=lambda: Backoff(first_s=2, max_s=300))
    patience_s: float = 24 * 3600
    """Seconds after its arrival for which an event waits for an asset that fails to download."""
    keys: KeyTemplate = field(default_factory=KeyTemplate)
    late_s: float = 0
    """Seconds after that for which a completion's asset is still tried for."""
    late_backoff: Backoff = field(default_factory=lambda: Backoff(first_s=600, max_s=6 * 3600))


@dataclass(frozen=True, slots=True)
class ForwardRules:
    """How long to try to deliver."""

    backoff: Backoff = field(default_factory=Backoff)
    max_attempts: int = 100
    """With the default backoff about two days; then the delivery is a dead letter."""


def every_failure_counts(outcomes: Mapping[str, Outcome]) -> Mapping[str, Judged]:
    """Hold each message to account for its own failures."""
    return outcomes


async def mirror(
    job: EventJob,
    *,
    fetch: Fetch,
    bucket: Bucket,
    rules: MirrorRules,
    clock: Clock,
    chance: Chance,
    refresh: Refresh | None = None,
    kept: KeptDownloads | None = None,
) -> MirrorResult:
    """Bring the asset of one event into the bucket, or find that it cannot be had.

    What was downloaded stays in *kept* until whoever settles the event discards it; without *kept*, every
    attempt downloads again.
    """
    fetching = partial(_fetch_or_find, job, partial(fetch_asset, fetch, refresh), kept)
    try:
        return await _mirror(job, fetching, bucket, kept, rules, clock, chance)
    except Exception:
        log.exception("mirror crashed", event_id=job.id, generation_id=job.generation_id)
        rules = replace(rules, late_s=0)
        return _not_fetched(job, NotFetched("internal_error", permanent=False), rules, clock(), chance())


async def _mirror(
    job: EventJob,
    fetch: FetchAsset,
    bucket: Bucket,
    kept: KeptDownloads | None,
    rules: MirrorRules,
    clock: Clock,
    chance: Chance,
) -> MirrorResult:
    event = _read(job)
    if not event.expects_asset:
        return EventSettled(job, None, clock())
    if event.type != COMPLETED:
        rules = replace(rules, late_s=0)
    fetched = await fetch(event)
    if isinstance(fetched, NotFetched):
        return _not_fetched(job, fetched, rules, clock(), chance())
    try:
        stored = await _keep(job, event, fetched, bucket, rules.keys)
    except BucketUnavailable as error:
        # Our own fault, so never a reason to forward an event without its asset.
        if kept:
            await kept.hold(job.id)
        return _postponed(job, f"{_BUCKET_FAILED}{error}", rules, clock(), chance())
    finally:
        if not kept:
            fetched.path.unlink(missing_ok=True)
    return EventSettled(job, _mirrored(fetched, stored), clock())


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
    late = replace(rules, backoff=rules.late_backoff, patience_s=patience_s, late_s=0)
    match await attempt(job, rules=late):
        case EventPostponed(due_ms=due_ms, error=error):
            return LatePostponed(job, due_ms, error)
        case EventSettled(asset=Asset("mirrored") as asset, now_ms=now_ms):
            return LateArrived(job, asset, _follow_up(job, now_ms, entropy()), now_ms)
        case EventSettled(asset=asset):
            return LateGivenUp(job, (asset and asset.error) or "no asset")


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


async def forward(
    jobs: Sequence[DeliveryJob],
    *,
    destination: Destination,
    rules: ForwardRules,
    clock: Clock,
    chance: Chance,
    judge: Judge = every_failure_counts,
    routing: Routing = EVERYTHING,
) -> list[ForwardResult]:
    """Send one batch to one destination; return what became of each job, in order."""
    made = {job.event_id: _message(job, routing) for job in jobs}
    sent = {id_: one for id_, one in made.items() if isinstance(one, Message)}
    unsent = {id_: one for id_, one in made.items() if not isinstance(one, Message)}
    outcomes = judge(dict(zip(sent, await _send(destination, list(sent.values())), strict=True)))
    return [_result(job, {**unsent, **outcomes}[job.event_id], rules, clock(), chance()) for job in jobs]


def _postponed(
    job: EventJob, error: str, rules: MirrorRules, now_ms: int, chance: float, after_s: float | None = None
) -> EventPostponed:
    """Put the asset off, at least as long as the other side asked for."""
    delay_s = max(after_s or 0, rules.backoff.delay_s(job.attempts, chance))
    return EventPostponed(job, now_ms + int(delay_s * 1000), error)


def message(job: DeliveryJob, routing: Routing = EVERYTHING) -> Message | Retry | Unwanted:
    """Build the message of a delivery: the same bytes on every attempt."""
    event = _read(job)
    told = _envelope(job, event)
    if job.undecided and not routing.filter_holds(told, destination=job.destination):
        return Unwanted()
    body = routing.encode(told, destination=job.destination)
    if isinstance(body, NotApplicable):
        # Never sent whole instead: the projection may be there to keep something back.
        return Retry(body.reason)
    return Message(
        id=job.event_id,
        source=event.source,
        generation_id=event.generation_id,
        type=TYPE_PREFIX + event.type,
        kind=event.kind,
        body=body,
    )


def _envelope(job: DeliveryJob, event: Event) -> Mapping[str, Any]:
    return envelope(
        event,
        event_id=job.event_id,
        received_ms=job.received_ms,
        asset=job.asset,
        submission=job.submission,
    )


def _message(job: DeliveryJob, routing: Routing) -> Message | Retry | Unwanted:
    try:
        return message(job, routing)
    except Exception:
        log.exception("unreadable event", event_id=job.event_id)
        return Retry("the stored body cannot be read")


async def _send(destination: Destination, messages: Sequence[Message]) -> Sequence[Outcome]:
    """Send *messages*; whatever goes wrong in our own code is a retry, and stops nobody else's work."""
    if not messages:
        return []
    try:
        outcomes = await destination.send(messages)
    except Exception as error:
        log.exception("destination crashed", events=[one.id for one in messages])
        return [Retry(f"internal error: {type(error).__name__}")] * len(messages)
    if len(outcomes) != len(messages):
        log.error("destination miscounted", messages=len(messages), outcomes=len(outcomes))
        return [Retry("internal error: outcomes are missing")] * len(messages)
    return outcomes


def _read(job: EventJob | DeliveryJob) -> Event:
    event = normalize(job.body, source=job.source)
    if isinstance(event, Unreadable):
        raise TypeError(f"a stored event cannot be read: {event.reason}")
    return event


async def fetch_asset(fetch: Fetch, refresh: Refresh | None, event: Event) -> Fetched | NotFetched:
    """Fetch the asset; where its URL has expired, once more under a fresh one."""
    fetched = await fetch(event.output_url)
    if refresh is None or not isinstance(fetched, NotFetched) or fetched.code != EXPIRED:
        return fetched
    match await refresh(event):
        case str(url):
            return await fetch(url)
        case Retry(after_s=after_s):
            return NotFetched(fetched.code, permanent=False, after_s=after_s)
        case None:
            return fetched


async def _fetch_or_find(
    job: EventJob, fetch: FetchAsset, kept: KeptDownloads | None, event: Event
) -> Fetched | NotFetched:
    """Fetch the asset, unless an earlier attempt did so on this machine."""
    download = partial(fetch, event)
    return await (kept.fetch(job.id, download) if kept else download())


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
    job: EventJob, failed: NotFetched, rules: MirrorRules, now_ms: int, chance: float
) -> MirrorResult:
    out_of_patience = now_ms - job.received_ms > rules.patience_s * 1000
    if failed.code == EXPIRED and _is_kept_elsewhere(job) and not out_of_patience:
        return _postponed(job, job.last_error or failed.code, rules, now_ms, chance)
    if failed.permanent:
        return EventSettled(job, Asset("failed", error=failed.code), now_ms)
    if out_of_patience:
        return _given_up_for_now(job, failed, rules, now_ms, chance)
    return _postponed(job, failed.code, rules, now_ms, chance, after_s=failed.after_s)


def _is_kept_elsewhere(job: EventJob) -> bool:
    """Whether an attempt had the asset and only the bucket failed: another machine may still have it."""
    return (job.last_error or "").startswith(_BUCKET_FAILED)


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


def _result(
    job: DeliveryJob, outcome: Judged | Unwanted, rules: ForwardRules, now_ms: int, chance: float
) -> ForwardResult:
    match outcome:
        case Delivered():
            return DeliveryConfirmed(job, now_ms)
        case Unwanted():
            return DeliveryUnwanted(job)
        case GivenUp(error):
            return DeliveryDead(job, now_ms, error)
        case Retry(error) if job.attempts >= rules.max_attempts:
            return DeliveryDead(job, now_ms, f"{error} (attempt {job.attempts} of {rules.max_attempts})")
        case Retry(error, after_s):
            delay_s = max(after_s or 0, rules.backoff.delay_s(job.attempts, chance))
            return DeliveryPostponed(job, now_ms + int(delay_s * 1000), error)
        case Parked(error, after_s):
            return DeliveryPostponed(job, now_ms + int(after_s * 1000), error, parked=True)
        case _:
            assert_never(outcome)
