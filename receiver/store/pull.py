"""Deliveries that consumers have leased: acknowledged, given back, or held for longer.

Each is written only if the lease is still in place: another consumer's deliveries are left alone. A lease
that ran out stays in place until the delivery is given to somebody else.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, select, true, update

from receiver.outcomes import FailedAttempt
from receiver.store.attempts import keep_failures, storable
from receiver.store.claim import IS_PENDING
from receiver.store.engine import wake_others
from receiver.store.tables import DEAD, DELIVERED, DELIVERY, PENDING
from receiver.store.wake import FORWARD


@dataclass(frozen=True, slots=True)
class Held:
    """What one lease holds of one destination's deliveries: all of them, or those of the events *ids*."""

    destination: str
    lease: str
    ids: Collection[str] | None = None

    def condition(self) -> ColumnElement[bool]:
        """Return the SQL condition that selects their rows."""
        ours = and_(
            DELIVERY.c.state == IS_PENDING,
            DELIVERY.c.lease == self.lease,
            DELIVERY.c.destination == self.destination,
        )
        return and_(ours, true() if self.ids is None else DELIVERY.c.event_id.in_(self.ids))


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A delivery that its consumer has finished."""

    event_id: str
    attempts: int
    is_first: bool
    """Whether it was made with its event. The age of a replayed delivery means nothing."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A delivery that its consumer could not handle."""

    due: list[str]
    """Events that are available to consumers again."""
    dead: list[str]
    """Events that were delivered too often, and are dead letters now."""


def acknowledge(connection: Connection, held: Held, *, now_ms: int) -> list[Acknowledged]:
    """Record that consumers have finished what is *held*; return what they still held."""
    done = {"state": DELIVERED, "due_ms": now_ms, "settled_ms": now_ms, "lease": None, "last_error": None}
    key = (DELIVERY.c.event_id, DELIVERY.c.attempts, DELIVERY.c.operation)
    rows = connection.execute(update(DELIVERY).where(held.condition()).values(done).returning(*key)).all()
    return [Acknowledged(row.event_id, row.attempts, row.operation is None) for row in rows]


def extend(connection: Connection, held: Held, *, until_ms: int) -> list[str]:
    """Extend the lease on what is *held* to *until_ms*; return the events that were still held."""
    longer = update(DELIVERY).where(held.condition()).values(due_ms=until_ms)
    return [row.event_id for row in connection.execute(longer.returning(DELIVERY.c.event_id))]


def return_messages(
    connection: Connection, held: Held, *, due_ms: int, now_ms: int, error: str, max_receives: int
) -> Returned:
    """Make what is *held* available again at *due_ms*; after *max_receives* deliveries it is dead."""
    columns = (DELIVERY.c.event_id, DELIVERY.c.attempts)
    rows = connection.execute(select(*columns).where(held.condition()).with_for_update()).all()
    spent = [row.event_id for row in rows if row.attempts >= max_receives]
    again = [row.event_id for row in rows if row.attempts < max_receives]
    why = storable(error)
    _change(connection, held, spent, state=DEAD, due_ms=now_ms, settled_ms=now_ms, last_error=why)
    _change(connection, held, again, state=PENDING, due_ms=due_ms, last_error=why)
    failed = {
        (row.event_id, held.destination): (row.attempts, FailedAttempt(now_ms, 0, why, b"")) for row in rows
    }
    keep_failures(connection, failed)
    if again:
        wake_others(connection, FORWARD)
    return Returned(again, spent)


def _change(connection: Connection, held: Held, ids: Collection[str], **values: object) -> None:
    if ids:
        these = and_(DELIVERY.c.destination == held.destination, DELIVERY.c.event_id.in_(ids))
        connection.execute(update(DELIVERY).where(these).values(lease=None, **values))
