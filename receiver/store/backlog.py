"""What is waiting for a destination, and what became of the rest: figures for people and alerts."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from receiver.store.claim import IS_PENDING
from receiver.store.tables import DEAD, DELIVERY, EVENT

COUNTED: Final = 10_000
"""Rows are counted along an index up to this number. A figure this large means as many or more."""
SAMPLED: Final = 1_000
"""Rows read at one end of a queue, for figures that are in no index."""

PENDING_ONES: Final = DELIVERY.c.state == IS_PENDING
SETTLED_ONES: Final = DELIVERY.c.settled_ms.is_not(None)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The backlog of one queue."""

    count: int
    """At most `COUNTED`."""
    oldest_ms: int | None = None
    """When the oldest was received, in milliseconds since the epoch; None if nothing is waiting."""
    error: str | None = None
    """Why one of them was postponed."""

    def oldest_s(self, now_ms: int) -> float:
        """Return how many seconds ago the oldest was received, or 0 if the queue is empty."""
        return 0.0 if self.oldest_ms is None else max(0.0, (now_ms - self.oldest_ms) / 1000)


def waiting_for(connection: Connection, destination: str) -> Waiting:
    """Measure one destination's backlog, from a bounded part of the index of pending deliveries."""
    ours = (PENDING_ONES, DELIVERY.c.destination == destination)
    count = count_some(connection, select(DELIVERY.c.due_ms).where(*ours))
    if not count:
        return Waiting(0)
    waiting = select(DELIVERY.c.event_id, DELIVERY.c.last_error).where(*ours)
    # New deliveries are due at once. Failed ones were postponed, so they are at the end.
    ends = [
        waiting.order_by(order).limit(SAMPLED).subquery()
        for order in (DELIVERY.c.due_ms, DELIVERY.c.due_ms.desc())
    ]
    # An event id begins with its time, so the smallest is the oldest.
    oldest = [connection.execute(select(func.min(end.c.event_id))).scalar() for end in ends]
    if not (known := [one for one in oldest if one is not None]):
        return Waiting(0)  # Each statement on PostgreSQL sees new commits: the last one is gone by now
    received = select(EVENT.c.received_ms).where(EVENT.c.id == min(known))
    return Waiting(count, connection.execute(received).scalar(), _first_error(connection, ends[1]))


def count_settled(connection: Connection, destination: str, state: str) -> int:
    """Count deliveries that one destination confirmed, or that were given up, up to `COUNTED`."""
    ours = (SETTLED_ONES, DELIVERY.c.destination == destination, DELIVERY.c.state == state)
    return count_some(connection, select(DELIVERY.c.settled_ms).where(*ours))


def last_dead_error(connection: Connection, destination: str) -> str | None:
    """Return why a destination's latest dead letter was given up."""
    ours = (SETTLED_ONES, DELIVERY.c.destination == destination, DELIVERY.c.state == DEAD)
    latest = select(DELIVERY.c.last_error).where(*ours).order_by(DELIVERY.c.settled_ms.desc())
    return _first_error(connection, latest.limit(SAMPLED).subquery())


def count_some(connection: Connection, rows: Select[Any]) -> int:
    """Count *rows*, up to `COUNTED`."""
    return connection.execute(select(func.count()).select_from(rows.limit(COUNTED).subquery())).scalar_one()


def _first_error(connection: Connection, among: Any) -> str | None:
    found = select(among.c.last_error).where(among.c.last_error.is_not(None)).limit(1)
    return connection.execute(found).scalar()
