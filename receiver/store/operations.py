"""Operations: bulk changes that an operator orders, done page by page, with progress and undo.

An operation is a row. Its driver takes one page after another with the row locked, so two drivers share the
work, and a cancelled operation goes no further.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson
from sqlalchemy import Connection, Select, select, update

from receiver.store import requarantine, resend
from receiver.store.engine import read_as
from receiver.store.filters import Filter, to_text
from receiver.store.requarantine import Reread
from receiver.store.resend import Chunk, Step
from receiver.store.search import count_states
from receiver.store.tables import DELIVERY, OPERATION
from receiver.store.window import Key

Kind = Literal["deliveries.retry", "deliveries.drop", "events.replay", "quarantine.retry", "quarantine.drop"]
OperationState = Literal["running", "done", "cancelled"]

RUNNING: Final = "running"
DONE: Final = "done"
CANCELLED: Final = "cancelled"

DEFAULT_RATE: Final = 50.0
"""Deliveries requeued per second."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to do, and to which rows."""

    kind: Kind
    wanted: Filter = field(default_factory=Filter)
    destinations: tuple[str, ...] = ()
    """Where a replay goes."""
    missing: bool = False
    """Whether a replay also makes deliveries that never existed."""
    rate: float = DEFAULT_RATE
    """Deliveries per second; 0 means all at once."""


@dataclass(frozen=True, slots=True)
class Operation:
    """The progress of an operation. Times are milliseconds since the epoch."""

    id: str
    order: Order
    state: OperationState
    """`done` means that everything was requeued or dropped, not that it was sent."""
    matched: int
    """Events, deliveries or quarantined bodies that matched the filter so far."""
    changed: int
    """Deliveries or bodies requeued, dropped or resolved so far."""
    begun_ms: int
    touched_ms: int
    deliveries: Mapping[str, int]
    """How many of the deliveries it was the last to touch are in each state; empty while it advances."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The result of one page of a cancellation."""

    restored: int
    under_way: int
    """Deliveries that a worker holds now; soon they are either undone or delivered."""
    cursor: Key | None
    more: bool


def begin(connection: Connection, id_: str, order: Order, *, now_ms: int) -> Operation:
    """Record the order; nothing is done yet."""
    asked = {
        "filter": order.wanted.to_json(),
        "destinations": order.destinations,
        "missing": order.missing,
        "rate": order.rate,
    }
    row = {"id": id_, "kind": order.kind, "request": to_text(asked), "state": RUNNING, "cursor": None}
    times = dict.fromkeys(("begun_ms", "touched_ms", "next_due_ms"), now_ms)
    connection.execute(OPERATION.insert(), [{**row, **times, "matched": 0, "changed": 0}])
    return Operation(id_, order, "running", 0, 0, now_ms, now_ms, {})


def advance(connection: Connection, id_: str, *, now_ms: int, reread: Reread) -> Operation | None:
    """Do one page of the operation unless it is done or cancelled; return its progress."""
    row = connection.execute(select(OPERATION).where(OPERATION.c.id == id_).with_for_update()).one_or_none()
    if row is not None and row.state == RUNNING:
        order = _order(row)
        step = _STEPS[order.kind](connection, _chunk(row, order, now_ms), reread)
        stepped = update(OPERATION).where(OPERATION.c.id == id_).values(_after(row, step, now_ms))
        row = connection.execute(stepped.returning(OPERATION)).one()
    return None if row is None else read_as(Operation, row, order=_order(row), deliveries={})


def rehearse(connection: Connection, order: Order, *, after: Key | None, now_ms: int, reread: Reread) -> Step:
    """Return what one page would change. Changes nothing."""
    chunk = Chunk(None, order.wanted, after, now_ms, destinations=order.destinations, missing=order.missing)
    return _STEPS[order.kind](connection, chunk, reread)


def take_back(connection: Connection, id_: str, *, after: Key | None, now_ms: int) -> TakenBack | None:
    """Stop the operation, and restore one page of its changes that have had no effect yet."""
    cancelled = {"state": CANCELLED, "touched_ms": now_ms}
    stopped = update(OPERATION).where(OPERATION.c.id == id_).values(cancelled).returning(OPERATION)
    row = connection.execute(stopped).one_or_none()
    if row is None:
        return None
    order = _order(row)
    chunk = Chunk(id_, order.wanted, after, now_ms)
    # Counted first: then rows that a worker settles meanwhile are checked again, not skipped.
    held = resend.under_way(connection, id_, now_ms=now_ms)
    restore = requarantine.restore if order.kind.startswith("quarantine.") else resend.restore
    step = restore(connection, chunk)
    return TakenBack(step.changed, held, step.cursor, step.more)


def find_operation(connection: Connection, id_: str) -> Operation | None:
    """Return the progress of one operation."""
    found = _read(connection, select(OPERATION).where(OPERATION.c.id == id_))
    return found[0] if found else None


def latest_operations(connection: Connection, *, limit: int = 100) -> list[Operation]:
    """Return the latest operations, newest first."""
    return _read(connection, select(OPERATION).order_by(OPERATION.c.id.desc()).limit(limit))


_STEPS: Final[Mapping[Kind, Callable[[Connection, Chunk, Reread], Step]]] = {
    "deliveries.retry": lambda connection, chunk, _: resend.retry(connection, chunk),
    "deliveries.drop": lambda connection, chunk, _: resend.drop(connection, chunk),
    "events.replay": lambda connection, chunk, _: resend.replay(connection, chunk),
    "quarantine.retry": requarantine.retry,
    "quarantine.drop": lambda connection, chunk, _: requarantine.drop(connection, chunk),
}


def _chunk(row: Any, order: Order, now_ms: int) -> Chunk:
    after = None if row.cursor is None else tuple(orjson.loads(row.cursor))
    return Chunk(
        row.id, order.wanted, after, now_ms, row.next_due_ms, order.rate, order.destinations, order.missing
    )


def _after(row: Any, step: Step, now_ms: int) -> dict[str, Any]:
    return {
        "state": RUNNING if step.more else DONE,
        "cursor": None if step.cursor is None else to_text(step.cursor),
        "matched": row.matched + step.matched,
        "changed": row.changed + step.changed,
        "touched_ms": now_ms,
        "next_due_ms": step.next_due_ms or row.next_due_ms,
    }


def _order(row: Any) -> Order:
    asked = orjson.loads(row.request)
    wanted, destinations = Filter.from_json(asked["filter"]), tuple(asked["destinations"])
    return Order(row.kind, wanted, destinations, asked["missing"], asked["rate"])


def _read(connection: Connection, statement: Select[Any]) -> list[Operation]:
    rows = connection.execute(statement).all()
    states = count_states(connection, DELIVERY.c.operation, [row.id for row in rows])
    return [read_as(Operation, row, order=_order(row), deliveries=states.get(row.id, {})) for row in rows]
