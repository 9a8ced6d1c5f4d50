"""What waits for each destination: figures for people and their alarms."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, select

from receiver.store.claim import IS_PENDING
from receiver.store.tables import DELIVERY, EVENT

MOST_COUNTED: Final = 100_000
"""No more rows of a kind are counted: beyond that, a figure says that there are many."""
_OLDEST_AMONG: Final = 10_000
"""The oldest is looked for among so many that are due first."""

PENDING_ONES: Final = DELIVERY.c.state == IS_PENDING
SETTLED_ONES: Final = DELIVERY.c.settled_ms.is_not(None)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The deliveries of one destination that are not settled."""

    destination: str
    pending: int
    """`MOST_COUNTED` at most."""
    oldest_ms: int | None
    """When the oldest of their events was received, in milliseconds since the epoch; None without any."""

    def oldest_s(self, now_ms: int) -> float:
        """Return how many seconds ago the oldest was received, 0 where there is none."""
        return 0.0 if self.oldest_ms is None else max(0.0, (now_ms - self.oldest_ms) / 1000)


def backlog(connection: Connection, destinations: Collection[str]) -> list[Backlog]:
    """Count what waits for each of *destinations*, and for any other that has something waiting, by name."""
    names = {*destinations, *names_in_use(connection, PENDING_ONES)}
    return [backlog_of(connection, name) for name in sorted(names)]


def backlog_of(connection: Connection, destination: str) -> Backlog:
    """Count what waits for one destination. Reads a bounded part of the index of what is pending."""
    ours = (PENDING_ONES, DELIVERY.c.destination == destination)
    count = count_some(connection, select(DELIVERY.c.due_ms).where(*ours))
    # An event id begins with its time, so the smallest is the oldest.
    first = select(DELIVERY.c.event_id).where(*ours).order_by(DELIVERY.c.due_ms).limit(_OLDEST_AMONG)
    oldest = connection.execute(select(func.min(first.subquery().c.event_id))).scalar() if count else None
    received = select(EVENT.c.received_ms).where(EVENT.c.id == oldest)
    return Backlog(destination, count, connection.execute(received).scalar() if oldest else None)


def count_settled(connection: Connection, destination: str, state: str) -> int:
    """Count what one destination confirmed, or what was given up, `MOST_COUNTED` at most."""
    ours = (SETTLED_ONES, DELIVERY.c.destination == destination, DELIVERY.c.state == state)
    return count_some(connection, select(DELIVERY.c.settled_ms).where(*ours))


def count_some(connection: Connection, rows: Select[Any]) -> int:
    """Count *rows*, `MOST_COUNTED` at most."""
    return connection.execute(
        select(func.count()).select_from(rows.limit(MOST_COUNTED).subquery())
    ).scalar_one()


def names_in_use(connection: Connection, which: ColumnElement[bool]) -> Iterator[str]:
    """Yield the destinations that have deliveries of this kind: one look into its index for each.

    `SELECT DISTINCT` would read every row.
    """
    first = select(func.min(DELIVERY.c.destination)).where(which)
    name = connection.execute(first).scalar()
    while name is not None:
        yield name
        name = connection.execute(first.where(DELIVERY.c.destination > name)).scalar()
