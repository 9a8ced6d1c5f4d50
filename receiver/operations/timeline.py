"""One generation's story, told in the order in which it happened."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from receiver.states import DEAD, DELIVERED, PENDING, PRUNED
from receiver.store.attempts import FILE, LATE_FILE, KeptAttempt
from receiver.store.search import FoundDelivery
from receiver.store.story import EventStory, Story
from receiver.telemetry.redact import redact

Tone = Literal["good", "bad", "waiting", ""]
_ENDED: Final[Mapping[str, tuple[str, Tone]]] = {
    DELIVERED: ("delivered to", "good"),
    DEAD: ("given up for", "bad"),
}
_QUOTED_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, or is to happen."""

    at_ms: int | None
    """Milliseconds since the epoch; None: a worker is at it right now."""
    what: str
    event_id: str | None = None
    detail: str = ""
    tone: Tone = ""
    said: str = ""
    """How the other side's answer began, 2 KiB at most."""


def timeline(story: Story) -> Sequence[Entry]:
    """Return what happened to a generation, the earliest first; what is under way stands at the end."""
    return sorted(_entries(story), key=_time)


def timeline_of(one: EventStory) -> Sequence[Entry]:
    """Return what happened to one event, in that order."""
    return sorted(_of_event(one), key=_time)


def _time(one: Entry) -> tuple[bool, int]:
    return one.at_ms is None, one.at_ms or 0


def _entries(story: Story) -> Iterator[Entry]:
    if story.submission is not None:
        submission = story.submission
        detail = f"as {submission.client_ref}" + (f": {redact(submission.error)}" if submission.error else "")
        yield Entry(submission.sent_ms, f"submission {submission.state}", detail=detail)
    for one in story.events:
        yield from _of_event(one)


def _of_event(one: EventStory) -> Iterator[Entry]:
    event = one.event
    times = "once" if event.repeats == 1 else f"{event.repeats} times"
    repeats = f", then {times} more" if event.repeats else ""
    gone = "; its body is gone, so it cannot be sent again" if event.state == PRUNED else ""
    yield Entry(event.received_ms, f"received {event.type}", event.id, f"by {event.via}{repeats}{gone}")
    if event.asset is not None:
        where = event.asset.url if event.asset.status == "mirrored" else event.asset.error
        tone: Tone = "good" if event.asset.status == "mirrored" else "bad"
        yield Entry(one.asset_settled_ms, f"asset {event.asset.status}", event.id, where or "", tone)
    elif one.is_claimed:
        tries = _tries(event.attempts, event.error)
        yield Entry(None, "asset being mirrored", event.id, tries, "waiting")
    elif one.due_ms is not None:
        tries = _tries(event.attempts, event.error)
        yield Entry(one.due_ms, "next try for the asset", event.id, tries, "waiting")
    if one.late is not None:
        tries = _tries(one.late.attempts, one.late.error)
        yield Entry(one.late.due_ms, "next try for the late asset", event.id, tries, "waiting")
    for delivery in one.deliveries:
        yield _of_delivery(delivery)
    for failed in one.failed:
        what = f"attempt {failed.number} {aim(failed)} failed"
        yield Entry(failed.began_ms, what, event.id, reason(failed), "bad", failed.said)


def aim(failed: KeptAttempt) -> str:
    """Say what an attempt was at."""
    return {FILE: "at the asset", LATE_FILE: "at the late asset"}.get(
        failed.destination, f"to {failed.destination}"
    )


def reason(failed: KeptAttempt) -> str:
    """Say why an attempt failed, in one line, with how the answer began."""
    why = f"after {failed.took_ms / 1000:.1f} s: {redact(failed.error)}"
    quoted = " ".join(failed.said.split())[:_QUOTED_CHARS]
    return f"{why}; the answer: {quoted}" if quoted else why


def _of_delivery(one: FoundDelivery) -> Entry:
    tries = _tries(one.attempts, one.error)
    if one.state == PENDING:
        due_ms = None if one.is_claimed else one.due_ms
        said = "being sent to" if one.is_claimed else "to be sent to"
        return Entry(due_ms, f"{said} {one.destination}", one.event_id, tries, "waiting")
    said, tone = _ENDED.get(one.state, (f"{one.state} for", ""))
    return Entry(one.settled_ms, f"{said} {one.destination}", one.event_id, tries, tone)


def _tries(attempts: int, error: str | None) -> str:
    """Say how often it was tried, and why in vain: what waits for a whole host has no attempt."""
    tries = f"{attempts} {'attempt' if attempts == 1 else 'attempts'}" if attempts else ""
    return ": ".join(filter(None, [tries, error and redact(error)])) or "not tried yet"
