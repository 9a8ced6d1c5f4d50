"""Retention: empties and deletes what nobody needs any more, in small batches.

An event's row stays, without its body: its unique key identifies a repeat. Each kind of row has a row in
`retention` that records how far it has been pruned, so nothing is checked twice. Events that were still
needed are in `retained`, and are checked again a day later. Rows that others hold are left for later.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    update,
)

from receiver.events import first_id
from receiver.store.filters import to_text
from receiver.store.operations import RUNNING
from receiver.store.rows import insert_new
from receiver.store.tables import (
    ATTEMPT,
    DELIVERED,
    DELIVERY,
    DROPPED,
    EVENT,
    LATE,
    LATE_ASSET,
    OPERATION,
    PRUNED,
    QUARANTINE,
    RESOLVED,
    RETAINED,
    RETENTION,
    SETTLED,
    SUBMISSION,
)

What = Literal["bodies", "retained", "deliveries", "quarantine", "operations", "submissions"]

WHAT: Final[tuple[What, ...]] = get_args(What)
"""In the order in which they are pruned."""

_INCREMENTAL: Final = 2
_FAR: Final = 2**40
_MOVE: Final = text("UPDATE event SET rowid = rowid - :far WHERE id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)
"""SQLite merges pages when rows are removed, but not when rows get shorter."""
_LOOK_AGAIN_MS: Final = 24 * 3600 * 1000
_IS_CLOSED: Final = QUARANTINE.c.state.in_(
    [literal(state, literal_execute=True) for state in (RESOLVED, DROPPED)]
)
"""A literal in the statement: neither planner would use the partial index for a bound parameter."""
_NO_REQUEST: Final = "{}"
_HAS_REQUEST: Final = and_(
    SUBMISSION.c.state.in_([literal(state, literal_execute=True) for state in ("submitted", "refused")]),
    SUBMISSION.c.request != literal(_NO_REQUEST, literal_execute=True),
)
"""Excludes those in doubt: only their request can match them to the provider's list."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A bounded part of the work. Times are milliseconds since the epoch."""

    before_ms: int
    """Work finished before this is pruned."""
    now_ms: int
    limit: int = 200
    rest_ms: int = 0
    """How long the next batch of its kind has to wait."""
    dry_run_after: str | None = None
    """Only count, starting after this place."""
    deliveries_before_ms: int | None = None
    """`before_ms` for deliveries; None keeps them."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one batch did, or would do."""

    pruned: int
    needed: int
    """Events that were old enough, but are kept because something still needs them."""
    cursor: str
    more: bool


def prune(connection: Connection, what: What, batch: Batch) -> Pruned | None:
    """Prune one batch; None if another process is doing that, or just has."""
    after = batch.dry_run_after
    if after is None:
        after = take_place(connection, what, batch.now_ms)
        if after is None:
            return None
    done = _STEPS[what](connection, batch, after)
    if batch.dry_run_after is None:
        end_turn(connection, what, done.cursor, batch.now_ms + batch.rest_ms)
    return done


def end_turn(connection: Connection, what: str, cursor: str, due_ms: int) -> None:
    """Record how far *what* was pruned, and when the next turn may begin."""
    place = {"cursor": cursor, "due_ms": due_ms}
    connection.execute(update(RETENTION).where(RETENTION.c.name == what).values(place))


def place(connection: Connection, what: str) -> str:
    """Return how far *what* has been pruned."""
    return connection.execute(select(RETENTION.c.cursor).where(RETENTION.c.name == what)).scalar() or ""


def shrink_file(connection: Connection, pages: int) -> bool:
    """Return up to *pages* free pages of SQLite to the file system; return whether there are more."""
    free, is_incremental = free_pages(connection)
    if not is_incremental:
        return False
    # The driver ends this statement after one page, whatever number it names.
    for _ in range(min(free, pages)):
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return free > pages


def free_pages(connection: Connection) -> tuple[int, bool]:
    """Return how many pages of a SQLite file are free, and whether `shrink_file` can return them."""
    free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    return int(free), connection.exec_driver_sql("PRAGMA auto_vacuum").scalar_one() == _INCREMENTAL


def take_place(connection: Connection, what: str, now_ms: int) -> str | None:
    """Return how far *what* has been pruned; None while another process has its turn.

    The turn lasts until the caller's transaction ends, and then until the time set by `end_turn`.
    """
    ours = select(RETENTION.c.cursor, RETENTION.c.due_ms).where(RETENTION.c.name == what)
    row = connection.execute(ours.with_for_update(skip_locked=True)).one_or_none()
    if row is not None:
        return str(row.cursor) if row.due_ms <= now_ms else None
    first = {"name": what, "cursor": "", "due_ms": now_ms}
    return "" if insert_new(connection, RETENTION, ("name",), [first]) else None


def _bodies(connection: Connection, batch: Batch, after: str) -> Pruned:
    rows = _events(connection, after, first_id(batch.before_ms), batch.limit)
    ids = [row.id for row in rows if row.state != PRUNED]
    pruned = _empty(connection, ids, batch)
    needed = [{"event_id": id_, "due_ms": batch.now_ms + _LOOK_AGAIN_MS} for id_ in ids if id_ not in pruned]
    if needed and batch.dry_run_after is None:
        insert_new(connection, RETAINED, ("event_id",), needed)
    last = rows[-1].id if rows else after
    return Pruned(len(pruned), len(needed), last, len(rows) == batch.limit)


def _retained(connection: Connection, batch: Batch, after: str) -> Pruned:
    due = and_(RETAINED.c.due_ms <= batch.now_ms, RETAINED.c.event_id > after)
    ids = connection.execute(
        select(RETAINED.c.event_id).where(due).order_by(RETAINED.c.due_ms).limit(batch.limit)
    )
    looked_at = list(ids.scalars())
    pruned = _empty(connection, looked_at, batch)
    if batch.dry_run_after is None:
        ours = RETAINED.c.event_id.in_(looked_at)
        later = batch.now_ms + _LOOK_AGAIN_MS
        connection.execute(delete(RETAINED).where(RETAINED.c.event_id.in_(pruned)))
        connection.execute(update(RETAINED).where(ours).values(due_ms=later))
        if batch.deliveries_before_ms is not None:
            end = first_id(batch.deliveries_before_ms)
            _delete_deliveries(connection, [id_ for id_ in pruned if id_ < end])
    more = len(looked_at) == batch.limit and batch.dry_run_after is None
    return Pruned(len(pruned), len(looked_at) - len(pruned), "", more)


def _deliveries(connection: Connection, batch: Batch, after: str) -> Pruned:
    """Delete the deliveries of events whose bodies are gone; other deliveries could still be replayed."""
    end, dry_run = first_id(batch.before_ms), batch.dry_run_after is not None
    if not dry_run:
        emptied_to = place(connection, "bodies")
        # Up to and including that one, so below the id that would come right after it.
        end = min(end, f"{emptied_to}~") if emptied_to else ""
    rows = _events(connection, after, end, batch.limit)
    if dry_run:
        done = _done([row.id for row in rows])
        count = len(connection.execute(select(DELIVERY.c.event_id).where(done)).all())
    else:
        count = _delete_deliveries(connection, [row.id for row in rows if row.state == PRUNED])
    return Pruned(count, 0, rows[-1].id if rows else after, len(rows) == batch.limit)


def _quarantine(connection: Connection, batch: Batch, after: str) -> Pruned:
    closed = and_(_IS_CLOSED, QUARANTINE.c.id > after, QUARANTINE.c.id < first_id(batch.before_ms))
    found = select(QUARANTINE.c.id).where(closed).order_by(QUARANTINE.c.id).limit(batch.limit)
    ids = list(connection.execute(found.with_for_update(skip_locked=True)).scalars())
    if batch.dry_run_after is None:
        gone = (
            update(QUARANTINE).where(QUARANTINE.c.id.in_(ids)).values(state=PRUNED, body=b"", operation=None)
        )
        connection.execute(gone)
    return _counted(ids, batch)


def _operations(connection: Connection, batch: Batch, after: str) -> Pruned:
    ended = and_(
        OPERATION.c.state != RUNNING, OPERATION.c.touched_ms < batch.before_ms, OPERATION.c.id > after
    )
    found = select(OPERATION.c.id).where(ended).order_by(OPERATION.c.id).limit(batch.limit)
    ids = list(connection.execute(found.with_for_update(skip_locked=True)).scalars())
    if batch.dry_run_after is None:
        connection.execute(delete(OPERATION).where(OPERATION.c.id.in_(ids)))
    return _counted(ids, batch)


def _submissions(connection: Connection, batch: Batch, after: str) -> Pruned:
    old = and_(_HAS_REQUEST, SUBMISSION.c.sent_ms < batch.before_ms)
    if batch.dry_run_after is not None:
        count = select(func.count()).select_from(SUBMISSION).where(old)
        return Pruned(connection.execute(count).scalar_one(), 0, after, more=False)
    found = select(SUBMISSION.c.client_ref).where(old).order_by(SUBMISSION.c.sent_ms).limit(batch.limit)
    names = list(connection.execute(found.with_for_update(skip_locked=True)).scalars())
    forget_requests(connection, names)
    return Pruned(len(names), 0, "", len(names) == batch.limit)


def forget_requests(connection: Connection, client_refs: Collection[str]) -> None:
    """Remove the request and the caller's metadata from submissions. Their keys and outcomes stay."""
    if not client_refs:
        return
    forgotten: dict[str, Any] = {"request": _NO_REQUEST, "told": bindparam("told_"), "error": None}
    statement = update(SUBMISSION).where(SUBMISSION.c.client_ref == bindparam("ref")).values(forgotten)
    changes = ({"ref": ref, "told_": to_text({"client_ref": ref, "metadata": {}})} for ref in client_refs)
    connection.execute(statement, list(changes))


_STEPS: Final[Mapping[What, Callable[[Connection, Batch, str], Pruned]]] = {
    "bodies": _bodies,
    "retained": _retained,
    "deliveries": _deliveries,
    "quarantine": _quarantine,
    "operations": _operations,
    "submissions": _submissions,
}


def _counted(ids: Sequence[str], batch: Batch) -> Pruned:
    # Pruned rows leave the index, so the next batch starts at the front. A dry run continues after them.
    cursor = ids[-1] if ids and batch.dry_run_after is not None else batch.dry_run_after or ""
    return Pruned(len(ids), 0, cursor, len(ids) == batch.limit)


def _events(connection: Connection, after: str, end: str, limit: int) -> Sequence[Any]:
    between = and_(EVENT.c.id > after, EVENT.c.id < end)
    statement = select(EVENT.c.id, EVENT.c.state).where(between).order_by(EVENT.c.id).limit(limit)
    return connection.execute(statement).all()


def _empty(connection: Connection, ids: Sequence[str], batch: Batch) -> set[str]:
    """Empty those of the events *ids* that nothing needs any more; return which."""
    done = and_(EVENT.c.id.in_(ids), EVENT.c.state.in_((SETTLED, LATE)), EVENT.c.due_ms < batch.before_ms)
    # Creating a delivery of an event takes its key, so from here on there are no new ones.
    locked = select(EVENT.c.id).where(done).with_for_update(skip_locked=True)
    free = set(connection.execute(locked).scalars())
    free -= set(
        connection.execute(select(LATE_ASSET.c.event_id).where(LATE_ASSET.c.event_id.in_(free))).scalars()
    )
    free -= _with_work(connection, free, batch.before_ms)
    if free and batch.dry_run_after is None:
        empty(connection, free)
    return free


def empty(connection: Connection, ids: Collection[str]) -> None:
    """Remove the bodies of events, and what their deliveries know about them. The caller has locked both.

    Their recorded attempts go too, because these may quote the body.
    """
    gone = {"state": PRUNED, "body": b"", "last_error": None, "lease": None, "kept_by": None}
    connection.execute(update(EVENT).where(EVENT.c.id.in_(ids)).values(gone))
    if connection.dialect.name == "sqlite":
        connection.execute(_MOVE, {"ids": list(ids), "far": _FAR})
    # What cannot be sent must not be restored.
    forgotten = {"submission": None, "operation": None, "before": None, "last_error": None}
    connection.execute(delete(ATTEMPT).where(ATTEMPT.c.event_id.in_(ids)))
    known = or_(*(DELIVERY.c[name].is_not(None) for name in forgotten))
    connection.execute(update(DELIVERY).where(DELIVERY.c.event_id.in_(ids), known).values(forgotten))


def _with_work(connection: Connection, ids: Collection[str], before_ms: int) -> set[str]:
    """Return the events with a delivery that is unfinished, recently finished, or held by somebody."""
    key = (DELIVERY.c.event_id, DELIVERY.c.destination)
    running = select(OPERATION.c.id).where(OPERATION.c.state == RUNNING)
    free = and_(
        _done(ids),
        or_(DELIVERY.c.settled_ms < before_ms, DELIVERY.c.settled_ms.is_(None)),
        or_(DELIVERY.c.operation.is_(None), DELIVERY.c.operation.not_in(running)),
    )
    locked = set(connection.execute(select(*key).where(free).with_for_update(skip_locked=True)))
    every = set(connection.execute(select(*key).where(DELIVERY.c.event_id.in_(ids))))
    return {event_id for event_id, _ in every - locked}


def _done(ids: Collection[str]) -> ColumnElement[bool]:
    return and_(DELIVERY.c.event_id.in_(ids), DELIVERY.c.state.in_((DELIVERED, DROPPED)))


def _delete_deliveries(connection: Connection, ids: Collection[str]) -> int:
    return connection.execute(delete(DELIVERY).where(_done(ids))).rowcount
