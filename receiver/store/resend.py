"""Requeues deliveries, drops them, and undoes both, one page at a time.

Nothing here touches a row that a worker holds. Every changed row ends with no `lease`; if the lease was lost
with its worker, clearing it shuts that worker out. Due times are spread, `rate` per second. Deliveries are
claimed in order of due time, so many requeued at once would delay new ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, or_, select, update

from receiver.store.engine import wake_others
from receiver.store.filters import Filter, to_text
from receiver.store.rows import insert_new
from receiver.store.search import DELIVERY_KEY, delivery_rows, event_rows
from receiver.store.tables import DEAD, DELIVERED, DELIVERY, DROPPED, EVENT, PENDING, SETTLED, SUBMISSION
from receiver.store.wake import FORWARD
from receiver.store.window import Key, Reach, rows_within

_MOST: Final = 500
_EVENTS: Final = 200
"""Events on one page of a replay, each with a delivery per destination."""
_SLOWEST: Final = 0.01
"""Deliveries per second. If slower, a due time could overflow."""
_LONGEST_BEFORE: Final = 10_000
"""Characters. If pending deliveries are sent again every minute, not all of that can be undone."""
_BEFORE: Final = ("state", "due_ms", "attempts", "last_error", "settled_ms", "operation", "before")


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one page."""

    matched: int
    """Rows that match the filter."""
    changed: int
    """Deliveries or quarantined bodies that were changed, or would be."""
    cursor: Key | None
    more: bool
    next_due_ms: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """One page of one operation."""

    operation: str | None
    """None for a dry run, which changes nothing."""
    wanted: Filter
    after: Key | None
    now_ms: int
    start_ms: int = 0
    """The earliest due time of this page's first delivery."""
    rate: float = 0
    """Deliveries per second; 0 means all at once."""
    destinations: tuple[str, ...] = ()
    missing: bool = False
    """Whether a replay also makes deliveries that never existed."""

    def due(self, count: int) -> tuple[list[int], int]:
        """Return the due times of *count* deliveries, and the earliest for the next one."""
        start = max(self.now_ms, self.start_ms)
        gap_ms = 1000 / max(self.rate, _SLOWEST) if self.rate else 0.0
        return [start + int(gap_ms * number) for number in range(count)], start + int(gap_ms * count)


def retry(connection: Connection, chunk: Chunk) -> Step:
    """Send dead letters again, and pending deliveries without waiting for their next attempt."""
    wanted = replace(chunk.wanted, state=chunk.wanted.state or DEAD)
    page = delivery_rows(connection, wanted, Reach(chunk.after, _MOST), lock=chunk.operation is not None)
    rows = [row for row in page.rows if row.state == DEAD or _waits(row)]
    dues, next_ms = chunk.due(len(rows))
    if chunk.operation:
        _put_back(connection, chunk.operation, rows, dues)
    return Step(len(page.rows), len(rows), page.cursor, page.more, next_ms)


def drop(connection: Connection, chunk: Chunk) -> Step:
    """Drop dead letters, so that nothing sends them again."""
    wanted = replace(chunk.wanted, state=DEAD)
    page = delivery_rows(connection, wanted, Reach(chunk.after, _MOST), lock=chunk.operation is not None)
    if chunk.operation and page.rows:
        dropped = [{**_key(row), "was": _before(row)} for row in page.rows]
        connection.execute(_DROP, [{**one, "by": chunk.operation} for one in dropped])
    return Step(len(page.rows), len(page.rows), page.cursor, page.more)


def replay(connection: Connection, chunk: Chunk) -> Step:
    """Send settled events to the destinations again, with the same ids and mirrored assets."""
    wanted = replace(chunk.wanted, state=SETTLED, destination=None)
    page = event_rows(connection, wanted, Reach(chunk.after, _EVENTS), lock=chunk.operation is not None)
    event_ids = [row.id for row in page.rows]
    # Pending rows are for workers to lock: they settle many at once, in an order we could not match.
    is_done = and_(_theirs(event_ids, chunk), DELIVERY.c.state.in_((DELIVERED, DEAD)))
    statement = select(DELIVERY).where(is_done).order_by(*DELIVERY_KEY)
    if chunk.operation:
        statement = statement.with_for_update()
    done = connection.execute(statement).all()
    missing = _missing(connection, event_ids, chunk) if chunk.missing else []
    dues, next_ms = chunk.due(len(done) + len(missing))
    if chunk.operation:
        _put_back(connection, chunk.operation, done, dues)
        _make(connection, chunk.operation, missing, dues[len(done) :])
    return Step(len(page.rows), len(done) + len(missing), page.cursor, page.more, next_ms)


def restore(connection: Connection, chunk: Chunk) -> Step:
    """Restore the previous state of what `chunk.operation` changed and has not been delivered since."""
    ours = DELIVERY.c.operation == chunk.operation
    idle = or_(DELIVERY.c.lease.is_(None), DELIVERY.c.due_ms <= chunk.now_ms)
    undone = or_(DELIVERY.c.state.in_((DROPPED, DEAD)), and_(DELIVERY.c.state == PENDING, idle))
    statement = select(DELIVERY).where(undone).with_for_update()
    page = rows_within(connection, statement, DELIVERY_KEY, [ours], Reach(chunk.after, _MOST))
    restored = [_restored(row) for row in page.rows if row.before]
    made = [_key(row) for row in page.rows if not row.before]
    if restored:
        connection.execute(_RESTORE, restored)
    if made:
        connection.execute(_UNMAKE, made)
    return Step(len(page.rows), len(page.rows), page.cursor, page.more)


def under_way(connection: Connection, operation: str, *, now_ms: int) -> int:
    """Return how many deliveries of *operation* a worker has under a valid lease."""
    leased = and_(DELIVERY.c.lease.is_not(None), DELIVERY.c.due_ms > now_ms)
    held = and_(DELIVERY.c.operation == operation, DELIVERY.c.state == PENDING, leased)
    return connection.execute(select(func.count()).select_from(DELIVERY).where(held)).scalar_one()


_OURS: Final = and_(DELIVERY.c.event_id == bindparam("job"), DELIVERY.c.destination == bindparam("where"))
_PUT_BACK: Final = (
    update(DELIVERY)
    .where(_OURS)
    .values(
        state=PENDING,
        due_ms=bindparam("due"),
        lease=None,
        attempts=0,
        last_error=None,
        settled_ms=None,
        operation=bindparam("by"),
        before=bindparam("was"),
    )
)
_DROP: Final = (
    update(DELIVERY).where(_OURS).values(state=DROPPED, operation=bindparam("by"), before=bindparam("was"))
)
_RESTORE: Final = (
    update(DELIVERY).where(_OURS).values(lease=None, **{name: bindparam(f"old_{name}") for name in _BEFORE})
)
_UNMAKE: Final = delete(DELIVERY).where(_OURS)


def _waits(row: Any) -> bool:
    """Whether *row* waits for another attempt, and not for the response to the request that caused it."""
    tried = row.last_error is not None or row.attempts or row.operation is not None
    return bool(row.state == PENDING and row.lease is None and tried)


def _put_back(connection: Connection, operation: str, rows: Sequence[Any], dues: Sequence[int]) -> None:
    if rows:
        changes = [
            {**_key(row), "due": due, "by": operation, "was": _before(row)}
            for row, due in zip(rows, dues, strict=False)
        ]
        connection.execute(_PUT_BACK, changes)
        wake_others(connection, FORWARD)


def _make(
    connection: Connection, operation: str, missing: Sequence[tuple[str, str]], dues: Sequence[int]
) -> None:
    if missing:
        submissions = _submissions(connection, {event_id for event_id, _ in missing})
        rows = [
            {
                "event_id": event_id,
                "destination": destination,
                "state": PENDING,
                "due_ms": due,
                "attempts": 0,
                "submission": submissions.get(event_id),
                "operation": operation,
            }
            for (event_id, destination), due in zip(missing, dues, strict=True)
        ]
        insert_new(connection, DELIVERY, ("event_id", "destination"), rows)
        wake_others(connection, FORWARD)


def _missing(connection: Connection, event_ids: Sequence[str], chunk: Chunk) -> list[tuple[str, str]]:
    found = connection.execute(select(*DELIVERY_KEY).where(_theirs(event_ids, chunk)))
    there = {(row.event_id, row.destination) for row in found}
    wanted = ((id_, destination) for id_ in event_ids for destination in chunk.destinations)
    return [one for one in wanted if one not in there]


def _theirs(event_ids: Sequence[str], chunk: Chunk) -> ColumnElement[bool]:
    return and_(DELIVERY.c.event_id.in_(event_ids), DELIVERY.c.destination.in_(chunk.destinations))


def _submissions(connection: Connection, event_ids: set[str]) -> dict[str, str | None]:
    """Find what these events' messages say about their submissions, as other destinations received it."""
    answered = and_(
        SUBMISSION.c.source == EVENT.c.source, SUBMISSION.c.generation_id == EVENT.c.generation_id
    )
    known = connection.execute(
        select(EVENT.c.id, SUBMISSION.c.told).join(SUBMISSION, answered).where(EVENT.c.id.in_(event_ids))
    )
    noted = {row.id: row.told for row in known}
    others = connection.execute(
        select(DELIVERY.c.event_id, DELIVERY.c.submission).where(DELIVERY.c.event_id.in_(event_ids))
    )
    return noted | {row.event_id: row.submission for row in others}


def _key(row: Any) -> dict[str, Any]:
    return {"job": row.event_id, "where": row.destination}


def _before(row: Any) -> str:
    """Serialize the state to restore; an earlier saved state only if that may still be restored too."""
    was = {name: getattr(row, name) for name in _BEFORE}
    if row.state != PENDING or len(row.before or "") > _LONGEST_BEFORE:
        return to_text({**was, "operation": None, "before": None})
    # Not as text within text, which would double its backslashes every time.
    return to_text({**was, "before": row.before and orjson.loads(row.before)})


def _restored(row: Any) -> dict[str, Any]:
    was = orjson.loads(row.before)
    was["before"] = was["before"] and to_text(was["before"])
    # A bound parameter must not have the name of a column that is set.
    return {**_key(row), **{f"old_{name}": value for name, value in was.items()}}
