"""How much was done in a period: counted along indexes, never by reading a table."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, func, literal, select

from receiver.events import first_id
from receiver.store.backlog import SETTLED_ONES
from receiver.store.filters import distinct
from receiver.store.tables import ASSET, DELIVERED, DELIVERY, EVENT

IS_MIRRORED = ASSET.c.status == literal("mirrored", literal_execute=True)


@dataclass(frozen=True, slots=True)
class Done:
    """What was done in a period."""

    received: int = 0
    mirrored: int = 0
    forwarded: int = 0


def count_done(connection: Connection, *, since_ms: int, until_ms: int) -> Done:
    """Count what was done from *since_ms* to before *until_ms*. The cost is proportional to the result."""
    names = list(distinct(connection, DELIVERY.c.destination, SETTLED_ONES))
    return Done(
        # An id starts with its time of arrival.
        received=_count(connection, EVENT.c.id >= first_id(since_ms), EVENT.c.id < first_id(until_ms)),
        mirrored=_count(connection, IS_MIRRORED, *_within(ASSET, since_ms, until_ms)),
        forwarded=sum(count_delivered(connection, name, since_ms, until_ms) for name in names),
    )


def count_delivered(connection: Connection, destination: str, since_ms: int, until_ms: int) -> int:
    """Count what one destination confirmed in a period."""
    theirs = SETTLED_ONES, DELIVERY.c.destination == destination, DELIVERY.c.state == DELIVERED
    return _count(connection, *theirs, *_within(DELIVERY, since_ms, until_ms))


def _within(table: Table, since_ms: int, until_ms: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.settled_ms >= since_ms, table.c.settled_ms < until_ms


def _count(connection: Connection, *which: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).where(*which)).scalar_one()
