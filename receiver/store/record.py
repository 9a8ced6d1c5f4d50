"""Records what was received: dedupe and enqueue in one transaction, many deliveries at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table

from receiver.contract import COMPLETED, FAILED
from receiver.store.engine import wake_others
from receiver.store.fanout import NOWHERE, FanOut, Made
from receiver.store.jobs import EventJob, Hold, Places, event_job
from receiver.store.repeats import Streak, count_repeats, count_streak
from receiver.store.rows import find, insert_new
from receiver.store.tables import EVENT, LATE, OPEN, PENDING, QUARANTINE, SETTLED
from receiver.store.wake import MIRROR, SETTLE

EVENT_KEY: Final = ("source", "generation_id", "type")
"""There is one event for each."""
_QUARANTINE_KEY: Final = ("source", "sha256")
_NOT_BEGUN: Final = {"lease": None, "kept_by": None}


class NewEvent(NamedTuple):
    """A verified and readable delivery, not yet known to be the first of its kind.

    A named tuple for the same reason as `Event`.
    """

    id: str
    source: str
    generation_id: str
    type: str
    asset_host: str | None
    """The asset's host, so that the mirror can skip a slow or dead one."""
    body: bytes
    via: str
    """How we learnt of it: `webhook`, `reconcile` or `quarantine`; `mirror` for events of our own."""
    received_ms: int
    expects_asset: bool = True
    """Whether there should be an asset to fetch, even if none can be."""

    @property
    def topic(self) -> str:
        """The topic to wake for it."""
        return MIRROR if self.asset_host else SETTLE


@dataclass(frozen=True, slots=True)
class NewQuarantine:
    """A verified delivery that we could not read."""

    id: str
    source: str
    sha256: str
    reason: str
    body: bytes
    received_ms: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """Committed, and new."""

    id: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Seen before; the repeat was counted."""

    id: str
    """The id of the first one."""


@dataclass(frozen=True, slots=True)
class Late:
    """A failure reported after the completion: committed, never forwarded."""

    id: str


Entry = NewEvent | NewQuarantine
RecordResult = Recorded | Duplicate | Late


class Arrival(NamedTuple):
    """An entry, and who in this process takes it over once it is committed."""

    entry: Entry
    hold: Hold | None = None
    """The lease that the event is written under, if it is mirrored next."""
    places: Places | None = None
    """Places for its deliveries, if it is settled when recorded."""


class Written(NamedTuple):
    """What was committed for an arrival."""

    result: RecordResult
    made: Made | None = None
    """Its deliveries, if it was settled."""


def record(
    connection: Connection,
    batch: Sequence[Arrival],
    *,
    fan_out: FanOut = NOWHERE,
    streak: Streak | None = None,
) -> list[Written]:
    """Write *batch* within the caller's transaction and return the outcome of each entry, in order.

    *streak* carries over from one batch to the next.
    """
    events = [one for one in batch if isinstance(one.entry, NewEvent)]
    unreadable = [one.entry for one in batch if isinstance(one.entry, NewQuarantine)]
    results: dict[str, RecordResult] = {}
    made: dict[str, Made] = {}
    if events:
        results |= _record_events(connection, events, streak or Streak())
        made = _settle_at_once(connection, events, results, fan_out)
    if unreadable:
        rows = [{**asdict(entry), "repeats": 0, "state": OPEN} for entry in unreadable]
        results |= _insert_once(connection, QUARANTINE, _QUARANTINE_KEY, rows, Streak())
    return [Written(results[one.entry.id], made.get(one.entry.id)) for one in batch]


def _record_events(
    connection: Connection, arrivals: Sequence[Arrival], streak: Streak
) -> dict[str, RecordResult]:
    events = [one.entry for one in arrivals if isinstance(one.entry, NewEvent)]
    late = _late_ids(connection, events)
    rows = [_row_of_arrival(one, is_late=one.entry.id in late) for one in arrivals]
    if any(one.hold for one in arrivals):
        rows = [_NOT_BEGUN | row for row in rows]
    results = _insert_once(connection, EVENT, EVENT_KEY, rows, streak)
    for id_ in late:
        if isinstance(results[id_], Recorded):
            results[id_] = Late(id_)
    left = [one for one in arrivals if one.hold is None and one.places is None]
    new = [
        entry
        for one in left
        if isinstance(results[one.entry.id], Recorded) and isinstance(entry := one.entry, NewEvent)
    ]
    for topic in {entry.topic for entry in new}:
        wake_others(connection, topic)
    return results


def _row_of_arrival(arrival: Arrival, *, is_late: bool) -> dict[str, Any]:
    assert isinstance(arrival.entry, NewEvent)
    if is_late:
        return event_row(arrival.entry, LATE)
    if arrival.places is not None:
        return event_row(arrival.entry, SETTLED)
    row, hold = event_row(arrival.entry, PENDING), arrival.hold
    if hold:
        row |= {"lease": hold.lease, "due_ms": hold.until_ms, "attempts": 1, "kept_by": hold.spool}
    return row


def _settle_at_once(
    connection: Connection, arrivals: Sequence[Arrival], results: Mapping[str, RecordResult], fan_out: FanOut
) -> dict[str, Made]:
    """Create the deliveries of new events that need nothing else."""
    places = {
        one.entry.id: one.places
        for one in arrivals
        if one.places is not None and isinstance(results[one.entry.id], Recorded)
    }
    if not places:
        return {}
    jobs = [
        event_job_of(one.entry)
        for one in arrivals
        if one.entry.id in places and isinstance(one.entry, NewEvent)
    ]
    now_ms = max(job.received_ms for job in jobs)
    return fan_out(connection, [(job, None) for job in jobs], places, now_ms=now_ms)


def event_job_of(event: NewEvent, hold: Hold | None = None) -> EventJob:
    """Return the job for *event*, begun under *hold*."""
    return event_job(EventJob, event, lease=hold.lease if hold else "", attempts=1)


def _late_ids(connection: Connection, events: Sequence[NewEvent]) -> set[str]:
    """Find failures in *events* whose generation completed earlier, in the store or in this batch."""
    failures = [event for event in events if event.type == FAILED]
    if not failures:
        return set()
    wanted = sorted({(event.source, event.generation_id) for event in failures})
    key = ("source", "generation_id")
    rows = find(connection, EVENT, key, wanted, key, where="found.type = ?", parameters=(COMPLETED,))
    completed = {(source, generation_id) for source, generation_id in rows}
    late = set()
    for event in events:
        generation = (event.source, event.generation_id)
        if event.type == COMPLETED:
            completed.add(generation)
        elif event.type == FAILED and generation in completed:
            late.add(event.id)
    return late


def _insert_once(
    connection: Connection, table: Table, key: tuple[str, ...], rows: list[dict[str, Any]], streak: Streak
) -> dict[str, RecordResult]:
    """Insert the rows whose *key* is new; count each other row as a repeat of the first with its key."""
    keys = {row["id"]: tuple(row[name] for name in key) for row in rows} if streak.goes_on else {}
    counted = count_streak(connection, table, key, keys) if keys else {}
    results: dict[str, RecordResult] = {id_: Duplicate(first) for id_, first in counted.items()}
    rows = [row for row in rows if row["id"] not in counted] if counted else rows
    if not rows:
        return results
    # One order for all transactions, because two with keys in common could deadlock.
    rows.sort(key=itemgetter(*key))
    inserted = insert_new(connection, table, key, rows)
    streak.goes_on = not inserted
    if inserted == len(rows):
        return results | {row["id"]: Recorded(row["id"]) for row in rows}
    keys = {row["id"]: tuple(row[name] for name in key) for row in rows}
    firsts = count_repeats(connection, table, key, keys, some_are_new=inserted > 0)
    return results | {
        id_: Recorded(id_) if first == id_ else Duplicate(first) for id_, first in firsts.items()
    }


def event_row(event: NewEvent, state: str) -> dict[str, Any]:
    """Return the row of *event*."""
    return {
        "id": event.id,
        "source": event.source,
        "generation_id": event.generation_id,
        "type": event.type,
        "asset_host": event.asset_host,
        "body": event.body,
        "via": event.via,
        "received_ms": event.received_ms,
        "repeats": 0,
        "state": state,
        "due_ms": event.received_ms,
        "attempts": 0,
    }
