"""Corrects due times after the clock was set back, which would otherwise delay all waiting work.

Each kind of row has a longest wait. A due time further ahead than that is corrected. If the worker saw how
far its clock went back, shorter waits are reduced by that much too.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, literal, or_, select, update

from receiver.events import event_ms, first_id
from receiver.store.attribution import HOLD_MS
from receiver.store.tables import (
    DELIVERY,
    EVENT,
    LATE_ASSET,
    OPERATION,
    PENDING,
    RECONCILE,
    SPOOL,
    SUBMISSION,
)

_SLACK_MS: Final = 2_000
_CLOCKS_DIFFER_MS: Final = 60_000
"""How far apart the clocks of two machines may be before one treats the other's times as wrong."""
LONGEST_WAIT_MS: Final = 3_600_000
"""No backoff, `Retry-After`, breaker or consumer asks for more."""
_LONGEST_LATE_WAIT_MS: Final = 6 * 3_600_000


@dataclass(frozen=True, slots=True)
class Present:
    """The current time, and the latest due time that is plausible."""

    now_ms: int
    lease_ms: int
    destinations: Collection[str] = ()
    back_ms: int = 0
    """How far the clock was just set back; 0 if nobody noticed."""
    at_start: bool = False
    """Whether the clock may have been set back while no worker ran: then events from the future are due.

    Only then: retries scheduled by the present clock must keep their backoff.
    """
    reconcile_ms: int = 7 * 24 * 3_600_000
    """The time between two passes over one source."""
    pulled: Collection[str] = ()
    """Destinations whose deliveries are held for as long as consumers ask, not for a lease."""


def correct_due_times(connection: Connection, present: Present) -> int:
    """Bring due times set by an earlier clock forward to *present*'s; return how many rows changed.

    A lease is shortened, not ended: a living worker renews it in time.
    """
    if present.at_start and not present.back_ms:
        present = replace(present, back_ms=_ahead_ms(connection, present.now_ms))
    return sum(_changed(connection, present, queue) for queue in _queues(present)) + _others(
        connection, present
    )


@dataclass(frozen=True, slots=True)
class _Queue:
    """The rows of one table that wait for a due time."""

    table: Table
    these: ColumnElement[bool]
    """Selects the rows by an index."""
    overdue: ColumnElement[bool]
    """Selects rows without a lease whose due time no wait explains."""
    lease_ms: int
    """The longest time that a row is held."""


def _queues(present: Present) -> Iterator[_Queue]:
    pending = literal(PENDING, literal_execute=True)
    now_ms, lease_ms = present.now_ms, present.lease_ms
    untried = and_(EVENT.c.attempts == 0, EVENT.c.last_error.is_(None))
    overdue = or_(untried, _after(EVENT, now_ms + LONGEST_WAIT_MS))
    if present.at_start:
        overdue = or_(overdue, EVENT.c.received_ms > now_ms + _CLOCKS_DIFFER_MS)
    for has_asset in (EVENT.c.asset_host.is_not(None), EVENT.c.asset_host.is_(None)):
        yield _Queue(EVENT, and_(EVENT.c.state == pending, has_asset), overdue, lease_ms)
    for name in (*present.destinations, *present.pulled):
        these = and_(DELIVERY.c.state == pending, DELIVERY.c.destination == name)
        held_ms = LONGEST_WAIT_MS if name in present.pulled else lease_ms
        yield _Queue(DELIVERY, these, _overdue_delivery(present), held_ms)
    too_late = _after(LATE_ASSET, now_ms + _LONGEST_LATE_WAIT_MS)
    yield _Queue(LATE_ASSET, literal(1) == 1, too_late, lease_ms)
    yield _Queue(RECONCILE, literal(1) == 1, _after(RECONCILE, now_ms + present.reconcile_ms), lease_ms)


def _ahead_ms(connection: Connection, now_ms: int) -> int:
    """Return how far the clock was set back at least: the latest write is that far ahead of now."""
    times = [connection.execute(select(func.max(SPOOL.c.seen_ms))).scalar() or 0]
    if latest := connection.execute(select(func.max(EVENT.c.id))).scalar():
        times.append(event_ms(latest))
    ahead_ms = max(times) - now_ms
    return ahead_ms if ahead_ms > _CLOCKS_DIFFER_MS else 0


def _overdue_delivery(present: Present) -> ColumnElement[bool]:
    now_ms = present.now_ms
    untried = and_(
        DELIVERY.c.attempts == 0, DELIVERY.c.last_error.is_(None), _after(DELIVERY, now_ms + HOLD_MS)
    )
    overdue = or_(untried, _after(DELIVERY, now_ms + LONGEST_WAIT_MS))
    if present.at_start:
        # Ids start with the time of receipt.
        overdue = or_(overdue, DELIVERY.c.event_id > first_id(now_ms + _CLOCKS_DIFFER_MS))
    # Leave alone what an operator has spread over hours.
    return and_(DELIVERY.c.operation.is_(None), overdue)


def _after(table: Table, ms: int) -> ColumnElement[bool]:
    return table.c.due_ms > ms + _SLACK_MS


def _changed(connection: Connection, present: Present, queue: _Queue) -> int:
    table, now_ms = queue.table, present.now_ms
    lease_ends_ms = now_ms + queue.lease_ms
    held = table.c.lease.is_not(None)
    wrong = or_(and_(held, _after(table, lease_ends_ms)), and_(~held, queue.overdue))
    right = case((held, lease_ends_ms), else_=now_ms)
    future = and_(queue.these, table.c.due_ms > now_ms + _SLACK_MS)
    changed = connection.execute(update(table).where(future, wrong).values(due_ms=right)).rowcount
    if present.back_ms:
        waiting = update(table).where(future, ~held).values(due_ms=_earlier(table.c.due_ms, present))
        changed += connection.execute(waiting).rowcount
    return changed


def _others(connection: Connection, present: Present) -> int:
    now_ms = present.now_ms
    seen = update(SPOOL).where(SPOOL.c.seen_ms > now_ms + _CLOCKS_DIFFER_MS).values(seen_ms=now_ms)
    changed = connection.execute(seen).rowcount
    if present.back_ms:
        for table, column in ((OPERATION, "next_due_ms"), (SUBMISSION, "next_look_ms")):
            later = update(table).where(table.c[column] > now_ms + _SLACK_MS)
            changed += connection.execute(later.values({column: _earlier(table.c[column], present)})).rowcount
    return changed


def _earlier(column: ColumnElement[int], present: Present) -> ColumnElement[int]:
    earlier = column - present.back_ms
    return case((earlier < present.now_ms, present.now_ms), else_=earlier)
