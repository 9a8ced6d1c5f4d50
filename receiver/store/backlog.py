"""What waits for each destination: figures for people and their alarms."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from receiver.store.claim import IS_PENDING
from receiver.store.tables import DELIVERY, EVENT

PENDING_ONES: Final = DELIVERY.c.state == IS_PENDING
SETTLED_ONES: Final = DELIVERY.c.settled_ms.is_not(None)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The deliveries of one destination that are not settled."""

    destination: str
    pending: int
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
    """Count what waits for one destination. Reads its part of the index of what is pending."""
    # An event id begins with its time, so the smallest is the oldest.
    figures = select(func.count(), func.min(DELIVERY.c.event_id)).where(
        PENDING_ONES, DELIVERY.c.destination == destination
    )
    count, oldest = connection.execute(figures).one()
    received = select(EVENT.c.received_ms).where(EVENT.c.id == oldest)
    return Backlog(destination, count, connection.execute(received).scalar() if oldest else None)


def names_in_use(connection: Connection, which: ColumnElement[bool]) -> Iterator[str]:
    """Yield the destinations that have deliveries of this kind: one look into its index for each.

    `SELECT DISTINCT` would read every row.
    """
    first = select(func.min(DELIVERY.c.destination)).where(which)
    name = connection.execute(first).scalar()
    while name is not None:
        yield name
        name = connection.execute(first.where(DELIVERY.c.destination > name)).scalar()
