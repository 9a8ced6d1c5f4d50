"""One generation's history, in chronological order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection

from receiver.operations import schemas
from receiver.operations.next_try import Circumstances, NextTry, next_delivery, next_mirroring
from receiver.operations.records import record
from receiver.states import DEAD, DELIVERED, PRUNED
from receiver.store.attempts import FILE, LATE_FILE, KeptAttempt
from receiver.store.contents import find_words
from receiver.store.search import FoundDelivery
from receiver.store.story import EventStory, Story, identify, story
from receiver.telemetry.redact import redact

Tone = Literal["good", "bad", "waiting", ""]
_ENDED: Final[Mapping[str, tuple[str, Tone]]] = {
    DELIVERED: ("delivered to", "good"),
    DEAD: ("given up for", "bad"),
}
_QUOTED_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened, or is planned."""

    at_ms: int | None
    """Milliseconds since the epoch; None: a worker is doing it now, or it waits for something else."""
    what: str
    event_id: str | None = None
    detail: str = ""
    tone: Tone = ""
    said: str = ""
    """The start of the other side's answer, 2 KiB at most."""


def timeline(story: Story, seen: Circumstances) -> Sequence[Entry]:
    """Return what happened to a generation, earliest first; what has no time yet comes last."""
    return sorted(_entries(story, seen), key=_time)


def timeline_of(one: EventStory, seen: Circumstances) -> Sequence[Entry]:
    """Return what happened to one event, in that order."""
    return sorted(_of_event(one, seen), key=_time)


def _time(one: Entry) -> tuple[bool, int]:
    return one.at_ms is None, one.at_ms or 0


def _entries(story: Story, seen: Circumstances) -> Iterator[Entry]:
    if story.submission is not None:
        submission = story.submission
        detail = f"as {submission.client_ref}" + (f": {redact(submission.error)}" if submission.error else "")
        yield Entry(submission.sent_ms, f"submission {submission.state}", detail=detail)
    for one in story.events:
        yield from _of_event(one, seen)


def _of_event(one: EventStory, seen: Circumstances) -> Iterator[Entry]:
    event = one.event
    times = "once" if event.repeats == 1 else f"{event.repeats} times"
    repeats = f", then {times} more" if event.repeats else ""
    gone = "; its body is gone, so it cannot be sent again" if event.state == PRUNED else ""
    yield Entry(event.received_ms, f"received {event.type}", event.id, f"by {event.via}{repeats}{gone}")
    if event.asset is not None:
        where = event.asset.url if event.asset.status == "mirrored" else event.asset.error
        tone: Tone = "good" if event.asset.status == "mirrored" else "bad"
        yield Entry(one.asset_settled_ms, f"asset {event.asset.status}", event.id, where or "", tone)
    elif one.due_ms is not None:
        tries = _tries(event.attempts, event.error)
        yield _waiting(_next(one, one.due_ms, seen, is_claimed=one.is_claimed), "the asset", event.id, tries)
    if one.late is not None:
        tries, late = _tries(one.late.attempts, one.late.error), one.late
        yield _waiting(
            _next(one, late.due_ms, seen, is_claimed=late.is_claimed), "the late asset", event.id, tries
        )
    for delivery in one.deliveries:
        yield _of_delivery(delivery, seen)
    for failed in one.failed:
        what = f"attempt {failed.number} {aim(failed)} failed"
        yield Entry(failed.began_ms, what, event.id, reason(failed), "bad", failed.said)


def aim(failed: KeptAttempt) -> str:
    """Describe what an attempt was for."""
    return {FILE: "at the asset", LATE_FILE: "at the late asset"}.get(
        failed.destination, f"to {failed.destination}"
    )


def reason(failed: KeptAttempt) -> str:
    """Describe in one line why an attempt failed, with the start of the answer."""
    why = f"after {failed.took_ms / 1000:.1f} s: {redact(failed.error)}"
    quoted = " ".join(failed.said.split())[:_QUOTED_CHARS]
    return f"{why}; the answer: {quoted}" if quoted else why


def _next(one: EventStory, due_ms: int, seen: Circumstances, *, is_claimed: bool) -> NextTry:
    return next_mirroring(due_ms, one.event.source, one.asset_host, seen, is_claimed=is_claimed)


def _waiting(soon: NextTry, what: str, event_id: str, tries: str) -> Entry:
    said = f"{what} being mirrored" if soon == NextTry() else f"next try for {what}"
    return Entry(soon.at_ms, said.removeprefix("the "), event_id, _detail(tries, soon), "waiting")


def _detail(tries: str, soon: NextTry) -> str:
    return tries if soon.waits_for is None else f"{tries}; waits for {soon.waits_for}"


def _of_delivery(one: FoundDelivery, seen: Circumstances) -> Entry:
    tries = _tries(one.attempts, one.error)
    if one.due_ms is not None:
        soon = next_delivery(one, seen)
        said = "being sent to" if soon == NextTry() else "to be sent to"
        return Entry(soon.at_ms, f"{said} {one.destination}", one.event_id, _detail(tries, soon), "waiting")
    said, tone = _ENDED.get(one.state, (f"{one.state} for", ""))
    return Entry(one.settled_ms, f"{said} {one.destination}", one.event_id, tries, tone)


def _tries(attempts: int, error: str | None) -> str:
    """Describe how often it was tried and why it failed; while a whole host is down, nothing is tried."""
    tries = f"{attempts} {'attempt' if attempts == 1 else 'attempts'}" if attempts else ""
    return ": ".join(filter(None, [tries, error and redact(error)])) or "not tried yet"


_MOST: Final = 5


def stories(connection: Connection, name: str) -> Sequence[Story]:
    """Return the generations that *name* identifies: as an id, a reference, a URL or part of the prompt."""
    known = identify(connection, name)
    if not known:
        read = find_words(connection, name.partition("?")[0], after=None, limit=_MOST).rows
        known = list(dict.fromkeys((one.event.source, one.event.generation_id) for one in read))
    found = (story(connection, source, generation_id) for source, generation_id in known)
    return [one for one in found if one is not None]


def history(found: Story, seen: Circumstances) -> list[schemas.HistoryEntry]:
    """Return what happened to a generation and what comes next, earliest first."""
    about = {"source": found.source, "generation_id": found.generation_id}
    return [record(schemas.HistoryEntry, one, **about) for one in timeline(found, seen)]
