"""Writing down what was received: dedupe and queue in one transaction, many deliveries at a time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Table, select

from receiver.contract import COMPLETED, FAILED
from receiver.store.engine import one_of, wake_others
from receiver.store.insert import insert_new
from receiver.store.repeats import count_repeats, find_ids
from receiver.store.tables import EVENT, LATE, OPEN, PENDING, QUARANTINE
from receiver.store.wake import MIRROR

EVENT_KEY: Final = ("source", "generation_id", "type")
"""One event of each."""
_QUARANTINE_KEY: Final = ("source", "sha256")


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A verified and readable delivery, not yet known to be the first of its kind."""

    id: str
    source: str
    generation_id: str
    type: str
    asset_host: str | None
    """Host of the asset, so that the mirror can spare a host that is slow or dead."""
    body: bytes
    via: str
    """How we learnt of it: `webhook`, `reconcile` or `quarantine`, or `mirror` for what we tell ourselves."""
    received_ms: int


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
    """Committed, and the first of its kind."""

    id: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Known already; the repeat was counted."""

    id: str
    """The id of the first."""


@dataclass(frozen=True, slots=True)
class Late:
    """A failure told after the completion: committed, never forwarded."""

    id: str


Entry = NewEvent | NewQuarantine
RecordResult = Recorded | Duplicate | Late


def record(connection: Connection, batch: Sequence[Entry]) -> list[RecordResult]:
    """Write *batch* within the caller's transaction and say, in order, what became of each entry."""
    events = [entry for entry in batch if isinstance(entry, NewEvent)]
    unreadable = [entry for entry in batch if isinstance(entry, NewQuarantine)]
    results: dict[str, RecordResult] = {}
    if events:
        results |= _record_events(connection, events)
    if unreadable:
        rows = [_quarantine_row(entry) for entry in unreadable]
        results |= _insert_once(connection, QUARANTINE, _QUARANTINE_KEY, rows)
    return [results[entry.id] for entry in batch]


def _record_events(connection: Connection, events: Sequence[NewEvent]) -> dict[str, RecordResult]:
    late = _late_ids(connection, events)
    rows = [event_row(event, LATE if event.id in late else PENDING) for event in events]
    results = _insert_once(connection, EVENT, EVENT_KEY, rows)
    for id_ in late:
        if isinstance(results[id_], Recorded):
            results[id_] = Late(id_)
    if any(isinstance(result, Recorded) for result in results.values()):
        wake_others(connection, MIRROR)
    return results


def _late_ids(connection: Connection, events: Sequence[NewEvent]) -> set[str]:
    """Find the failures among *events* whose generation was completed before, in store or batch."""
    failures = [event for event in events if event.type == FAILED]
    if not failures:
        return set()
    completed = _completed_generations(connection, failures)
    late = set()
    for event in events:
        generation = (event.source, event.generation_id)
        if event.type == COMPLETED:
            completed.add(generation)
        elif event.type == FAILED and generation in completed:
            late.add(event.id)
    return late


def _completed_generations(connection: Connection, failures: Sequence[NewEvent]) -> set[tuple[str, str]]:
    generation = (EVENT.c.source, EVENT.c.generation_id)
    wanted = {(event.source, event.generation_id) for event in failures}
    theirs = one_of(connection, generation, wanted)
    rows = connection.execute(select(*generation).where(EVENT.c.type == COMPLETED, theirs))
    return {(row.source, row.generation_id) for row in rows}


def _insert_once(
    connection: Connection, table: Table, key: tuple[str, ...], rows: list[dict[str, Any]]
) -> dict[str, RecordResult]:
    """Insert the rows whose *key* is new; count a repeat on the first row of every other."""
    # One order for all transactions: two that share keys would otherwise wait for each other.
    rows.sort(key=itemgetter(*key))
    if insert_new(connection, table, key, rows) == len(rows):
        return {row["id"]: Recorded(row["id"]) for row in rows}
    keys = {row["id"]: tuple(row[name] for name in key) for row in rows}
    ids = find_ids(connection, table, key, sorted(set(keys.values())))
    firsts = {id_: ids[values] for id_, values in keys.items()}
    count_repeats(connection, table, Counter(first for id_, first in firsts.items() if first != id_))
    return {id_: Recorded(id_) if first == id_ else Duplicate(first) for id_, first in firsts.items()}


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


def _quarantine_row(entry: NewQuarantine) -> dict[str, Any]:
    return {
        "id": entry.id,
        "source": entry.source,
        "sha256": entry.sha256,
        "reason": entry.reason,
        "body": entry.body,
        "received_ms": entry.received_ms,
        "repeats": 0,
        "state": OPEN,
    }
