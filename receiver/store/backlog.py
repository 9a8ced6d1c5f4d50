"""What waits for a destination, and the outcome of the rest: figures for people and their alarms."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, select

from receiver.store.claim import IS_PENDING
from receiver.store.tables import DEAD, DELIVERY, EVENT

COUNTED: Final = 10_000
"""No more rows of a kind are counted, along an index. A figure of that size means as many or more."""
SAMPLED: Final = 1_000
"""Rows that are read for what no index has: those at one end of a queue."""

PENDING_ONES: Final = DELIVERY.c.state == IS_PENDING
SETTLED_ONES: Final = DELIVERY.c.settled_ms.is_not(None)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in one queue."""

    count: int
    """`COUNTED` at most."""
    oldest_ms: int | None = None
    """When the oldest was received, in milliseconds since the epoch; None if nothing waits."""
    error: str | None = None
    """Why one of them was put off."""

    def oldest_s(self, now_ms: int) -> float:
        """Return how many seconds ago the oldest was received, 0 where there is none."""
        return 0.0 if self.oldest_ms is None else max(0.0, (now_ms - self.oldest_ms) / 1000)


def waiting_for(connection: Connection, destination: str) -> Waiting:
    """Look up what waits for one destination, in a bounded part of the index of what is pending."""
    ours = (PENDING_ONES, DELIVERY.c.destination == destination)
    count = count_some(connection, select(DELIVERY.c.due_ms).where(*ours))
    if not count:
        return Waiting(0)
    waiting = select(DELIVERY.c.event_id, DELIVERY.c.last_error).where(*ours)
    # New ones are due at once. What failed was put off, and so stands at the end.
    ends = [
        waiting.order_by(order).limit(SAMPLED).subquery()
        for order in (DELIVERY.c.due_ms, DELIVERY.c.due_ms.desc())
    ]
    # An event id begins with its time, so the smallest is the oldest.
    oldest = [connection.execute(select(func.min(end.c.event_id))).scalar() for end in ends]
    if not (known := [one for one in oldest if one is not None]):
        return Waiting(0)  # PostgreSQL shows each statement what others committed: the last is gone since
    received = select(EVENT.c.received_ms).where(EVENT.c.id == min(known))
    return Waiting(count, connection.execute(received).scalar(), _first_error(connection, ends[1]))


def count_settled(connection: Connection, destination: str, state: str) -> int:
    """Count what one destination confirmed, or what was given up, `COUNTED` at most."""
    ours = (SETTLED_ONES, DELIVERY.c.destination == destination, DELIVERY.c.state == state)
    return count_some(connection, select(DELIVERY.c.settled_ms).where(*ours))


def last_dead_error(connection: Connection, destination: str) -> str | None:
    """Return why the latest dead letter of one destination was given up."""
    ours = (SETTLED_ONES, DELIVERY.c.destination == destination, DELIVERY.c.state == DEAD)
    latest = select(DELIVERY.c.last_error).where(*ours).order_by(DELIVERY.c.settled_ms.desc())
    return _first_error(connection, latest.limit(SAMPLED).subquery())


def count_some(connection: Connection, rows: Select[Any]) -> int:
    """Count *rows*, `COUNTED` at most."""
    return connection.execute(select(func.count()).select_from(rows.limit(COUNTED).subquery())).scalar_one()


def names_in_use(connection: Connection, which: ColumnElement[bool]) -> Iterator[str]:
    """Yield the destinations that have deliveries of this kind: one look into its index for each.

    `SELECT DISTINCT` would read every row.
    """
    first = select(func.min(DELIVERY.c.destination)).where(which)
    name = connection.execute(first).scalar()
    while name is not None:
        yield name
        name = connection.execute(first.where(DELIVERY.c.destination > name)).scalar()


def _first_error(connection: Connection, among: Any) -> str | None:
    found = select(among.c.last_error).where(among.c.last_error.is_not(None)).limit(1)
    return connection.execute(found).scalar()
