"""Finds deliveries, events and quarantined bodies for operators."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, and_, func, literal, select

from receiver.events import Asset
from receiver.store.assets import ASSET_COLUMNS, asset_if_any
from receiver.store.engine import read_as
from receiver.store.filters import Filter, arrived, events_of_generation, has_error, is_kind, kind_of
from receiver.store.tables import ASSET, DEAD, DELIVERY, EVENT, OPEN, PENDING, PRUNED, QUARANTINE, SETTLED
from receiver.store.window import Key, Page, Reach, rows_within

DELIVERY_KEY: Final[tuple[Column[Any], ...]] = (DELIVERY.c.event_id, DELIVERY.c.destination)
EVENT_KEY: Final[tuple[Column[Any], ...]] = (EVENT.c.id,)
QUARANTINE_KEY: Final[tuple[Column[Any], ...]] = (QUARANTINE.c.id,)

_MOST: Final = 200
"""Rows on one page of a list; each is read with its body."""
_IS_DEAD: Final = DELIVERY.c.state == literal(DEAD, literal_execute=True)
_IS_PENDING: Final = DELIVERY.c.state == literal(PENDING, literal_execute=True)
"""A literal in the statement: neither planner would use the partial index for a bound parameter."""
IS_UNSETTLED: Final = and_(
    *(EVENT.c.state != literal(state, literal_execute=True) for state in (SETTLED, PRUNED))
)
IS_OPEN: Final = QUARANTINE.c.state == literal(OPEN, literal_execute=True)


@dataclass(frozen=True, slots=True)
class FoundDelivery:
    """A delivery, with what its event is about. Times are milliseconds since the epoch."""

    event_id: str
    destination: str
    state: str
    attempts: int
    error: str | None
    due_ms: int | None
    """When it may be sent next, or has been due since; if claimed, the lease's end. None unless pending."""
    settled_ms: int | None
    """When it was delivered or given up."""
    is_claimed: bool
    """Whether a worker has it."""
    operation: str | None
    source: str
    generation_id: str
    type: str
    kind: str
    received_ms: int


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event, with the result for its asset. Times are milliseconds since the epoch."""

    id: str
    source: str
    generation_id: str
    type: str
    kind: str
    state: str
    via: str
    received_ms: int
    repeats: int
    attempts: int
    error: str | None
    """Why its asset is not mirrored, or not yet."""
    asset: Asset | None
    deliveries: dict[str, int]
    """How many are in each state."""


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """An event, with its original bytes."""

    event: FoundEvent
    body: bytes


@dataclass(frozen=True, slots=True)
class FoundBody:
    """One quarantined body."""

    id: str
    source: str
    reason: str
    state: str
    received_ms: int
    repeats: int
    size_bytes: int
    event_id: str | None
    operation: str | None


def find_deliveries(
    connection: Connection,
    wanted: Filter,
    *,
    after: Key | None = None,
    limit: int = 100,
    newest_first: bool = False,
) -> Page[FoundDelivery]:
    """Return up to *limit* deliveries after the cursor *after*."""
    page = delivery_rows(connection, wanted, Reach(after, _most(wanted, limit), newest_first), with_body=True)
    return _cut(page, limit, DELIVERY_KEY, _delivery)


def find_events(
    connection: Connection,
    wanted: Filter,
    *,
    after: Key | None = None,
    limit: int = 100,
    newest_first: bool = False,
) -> Page[FoundEvent]:
    """Return up to *limit* events after the cursor *after*."""
    page = read_events(connection, wanted, after=after, limit=limit, newest_first=newest_first)
    return Page([read.event for read in page.rows], page.cursor, page.more)


def read_events(
    connection: Connection, wanted: Filter, *, after: Key | None, limit: int, newest_first: bool = False
) -> Page[ReadEvent]:
    """Return up to *limit* events after the cursor *after*, with their bodies."""
    page = event_rows(connection, wanted, Reach(after, _most(wanted, limit), newest_first), with_body=True)
    cut = _cut(page, limit, EVENT_KEY, lambda row: row)
    return Page(read_rows(connection, cut.rows), cut.cursor, cut.more)


def read_rows(connection: Connection, rows: Sequence[Any]) -> list[ReadEvent]:
    """Return the events in *rows* of `event_rows`, with the number of their deliveries in each state."""
    counts = count_states(connection, DELIVERY.c.event_id, [row.id for row in rows])
    return [ReadEvent(_event(row, counts.get(row.id, {})), row.body) for row in rows]


def count_states(
    connection: Connection, column: Column[str], values: Collection[str]
) -> dict[str, dict[str, int]]:
    """Return how many of the deliveries whose *column* has one of *values* are in each state, by value."""
    counts: dict[str, dict[str, int]] = {}
    counted = select(column, DELIVERY.c.state, func.count()).where(column.in_(values), column.is_not(None))
    for value, state, count in connection.execute(counted.group_by(column, DELIVERY.c.state)):
        counts.setdefault(value, {})[state] = count
    return counts


def find_quarantined(
    connection: Connection,
    wanted: Filter,
    *,
    after: Key | None = None,
    limit: int = 100,
    newest_first: bool = False,
) -> Page[FoundBody]:
    """Return up to *limit* quarantined bodies after the cursor *after*."""
    page = quarantine_rows(connection, wanted, Reach(after, _most(wanted, limit), newest_first))
    return _cut(page, limit, QUARANTINE_KEY, lambda row: read_as(FoundBody, row, size_bytes=len(row.body)))


def body_of_event(connection: Connection, id_: str) -> bytes | None:
    """Return the original bytes of an event."""
    return connection.execute(select(EVENT.c.body).where(EVENT.c.id == id_)).scalar()


def pruned_among(connection: Connection, ids: Collection[str]) -> list[str]:
    """Return which of the events *ids* have lost their bodies to pruning."""
    gone = select(EVENT.c.id).where(EVENT.c.id.in_(ids), EVENT.c.state == PRUNED).order_by(EVENT.c.id)
    return list(connection.execute(gone).scalars())


def quarantined_body(connection: Connection, id_: str) -> bytes | None:
    """Return the bytes of a quarantined body."""
    return connection.execute(select(QUARANTINE.c.body).where(QUARANTINE.c.id == id_)).scalar()


def delivery_rows(
    connection: Connection, wanted: Filter, reach: Reach, *, with_body: bool = False, lock: bool = False
) -> Page[Any]:
    """Return the matching deliveries in one window, locked if they are to be changed.

    When locking, pending ones that others have locked are left out.
    """
    found = _by_id(connection, wanted)
    if found is None:
        return Page([], reach.after, more=False)
    wanted = found
    about = [EVENT.c.source, EVENT.c.generation_id, EVENT.c.type, EVENT.c.received_ms]
    if with_body or wanted.kind:
        about.append(EVENT.c.body)
    statement = select(DELIVERY, *about).join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
    statement = statement.where(*_equal(EVENT, wanted, "source", "type", "generation_id"))
    if wanted.destination is not None:
        statement = statement.where(DELIVERY.c.destination == wanted.destination)
    candidates = list(arrived(DELIVERY.c.event_id, wanted))
    if wanted.state == DEAD:
        candidates.append(_IS_DEAD)
    elif wanted.state == PENDING:
        candidates.append(_IS_PENDING)
    elif wanted.state is not None:
        statement = statement.where(DELIVERY.c.state == wanted.state)
    if lock:
        # Workers settle pending rows, many at once and in their own order. We must not wait for them.
        statement = statement.with_for_update(of=DELIVERY, skip_locked=wanted.state == PENDING)
    return _matching(
        rows_within(connection, statement, DELIVERY_KEY, candidates, reach), wanted, ("last_error",)
    )


def event_rows(
    connection: Connection, wanted: Filter, reach: Reach, *, with_body: bool = False, lock: bool = False
) -> Page[Any]:
    """Return the matching events in one window, with their assets; locked ones are not pruned meanwhile."""
    found = _by_id(connection, wanted)
    if found is None:
        return Page([], reach.after, more=False)
    wanted = found
    columns = [column for column in EVENT.c if column is not EVENT.c.body or with_body or wanted.kind]
    statement: Select[Any] = select(*columns, *ASSET_COLUMNS)
    statement = statement.outerjoin(ASSET, ASSET.c.event_id == EVENT.c.id)
    statement = statement.where(*_equal(EVENT, wanted, "source", "type", "generation_id"))
    candidates = list(arrived(EVENT.c.id, wanted))
    if wanted.state in (SETTLED, PRUNED):  # as nearly all are
        statement = statement.where(EVENT.c.state == wanted.state)
    elif wanted.state is not None:
        candidates += [EVENT.c.state == wanted.state, IS_UNSETTLED]
    if wanted.destination is not None:
        sent = select(DELIVERY.c.event_id).where(
            DELIVERY.c.event_id == EVENT.c.id, DELIVERY.c.destination == wanted.destination
        )
        statement = statement.where(sent.exists())
    if lock:
        statement = statement.with_for_update(read=True, key_share=True, of=EVENT)
    return _matching(
        rows_within(connection, statement, EVENT_KEY, candidates, reach), wanted, ("last_error", "error")
    )


def quarantine_rows(connection: Connection, wanted: Filter, reach: Reach, *, lock: bool = False) -> Page[Any]:
    """Return the matching quarantined bodies in one window, locked if they are to be changed."""
    statement = select(QUARANTINE).where(*_equal(QUARANTINE, wanted, "source", "state"))
    if lock:
        statement = statement.with_for_update()
    candidates = list(arrived(QUARANTINE.c.id, wanted))
    return _matching(
        rows_within(connection, statement, QUARANTINE_KEY, candidates, reach), wanted, ("reason",)
    )


def _by_id(connection: Connection, wanted: Filter) -> Filter | None:
    """Add the event ids of the generation that *wanted* names, if any; None if it has no events.

    A generation has few events, so they are found by its key instead of reading all events.
    """
    if wanted.generation_id is None:
        return wanted
    found = set(events_of_generation(connection, wanted.generation_id, wanted.source))
    ids = found.intersection(wanted.ids) if wanted.ids else found
    return replace(wanted, ids=tuple(sorted(ids))) if ids else None


def _most(wanted: Filter, limit: int) -> int:
    """Return how many rows to read for a page: more than *limit* if some are only filtered out here."""
    return _MOST if wanted.kind or wanted.error else min(limit + 1, _MOST)


def _equal(table: Table, wanted: Filter, *names: str) -> list[ColumnElement[bool]]:
    """Return the conditions on the columns *names* that *wanted* sets."""
    return [table.c[name] == value for name in names if (value := getattr(wanted, name)) is not None]


def _matching(page: Page[Any], wanted: Filter, errors: tuple[str, ...]) -> Page[Any]:
    rows = [
        row
        for row in page.rows
        if has_error(wanted.error, *(getattr(row, name) for name in errors))
        and is_kind(wanted.kind, getattr(row, "body", None), row.source)
    ]
    return Page(rows, page.cursor, page.more)


def _cut(page: Page[Any], limit: int, keys: tuple[Column[Any], ...], view: Any) -> Page[Any]:
    if len(page.rows) <= limit:
        return Page([view(row) for row in page.rows], page.cursor, page.more)
    kept = page.rows[:limit]
    return Page([view(row) for row in kept], tuple(getattr(kept[-1], key.name) for key in keys), more=True)


def _delivery(row: Any) -> FoundDelivery:
    # One that was backfilled waits its turn, and is due since its event arrived.
    due_ms = int(row.due_ms if row.due_ms >= 0 else row.received_ms)
    return read_as(
        FoundDelivery,
        row,
        error=row.last_error,
        due_ms=due_ms if row.state == PENDING else None,
        is_claimed=row.state == PENDING and row.lease is not None,
        kind=kind_of(row.body, row.source),
    )


def _event(row: Any, deliveries: dict[str, int]) -> FoundEvent:
    return read_as(
        FoundEvent,
        row,
        kind=kind_of(row.body, row.source),
        error=row.error or row.last_error,
        asset=asset_if_any(row),
        deliveries=deliveries,
    )
