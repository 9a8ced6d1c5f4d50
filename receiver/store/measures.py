"""What a monitoring system asks the store for, each figure at a bounded cost whatever has piled up."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select, text

from receiver.store.claim import IS_PENDING
from receiver.store.engine import is_sqlite
from receiver.store.tables import DESTINATION_STATE, EVENT, LATE_ASSET, PACE, SPOOL

MOST: Final = 100_000
"""Rows of a queue that are counted; a longer one has at least so many."""
_MOST_READ: Final = 10_000
"""Rows whose age is looked at: those due first, for which no index has the age."""
_WITH_ASSET: Final = (EVENT.c.state == IS_PENDING, EVENT.c.asset_host.is_not(None))
_WITHOUT_ASSET: Final = (EVENT.c.state == IS_PENDING, EVENT.c.asset_host.is_(None))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Events of one source that wait for their asset from one host, or to be settled without any."""

    source: str
    asset_host: str | None
    events: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of one API key's rate limit. Times are milliseconds since the epoch."""

    limit: int | None
    remaining: int | None
    reset_ms: int | None
    skew_ms: int
    """The provider's clock minus that of whoever asked it last."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The state of every stage but the deliveries'. Times are milliseconds since the epoch."""

    waiting: list[Waiting]
    oldest_ms: dict[str, int]
    """When the oldest event that waits was received, by source."""
    late_assets: int
    oldest_late_ms: int | None
    workers: int
    """Spool folders of which a worker was seen within a lease."""
    database_bytes: int
    database_now_ms: int | None
    """The database's clock; SQLite has none of its own."""
    down: set[str]
    """Destinations that some worker leaves alone."""
    paused: set[str]
    allowances: dict[str, Allowance]
    """By the name that the client keeps them under."""


def measure(connection: Connection, *, now_ms: int, lease_ms: int, paces: Collection[str]) -> Measures:
    """Look all of it up; *paces* are the rate limits that are asked for."""
    late = select(LATE_ASSET.c.event_id).limit(MOST).subquery()
    oldest_late = select(EVENT.c.received_ms).where(
        EVENT.c.id == select(func.min(LATE_ASSET.c.event_id)).scalar_subquery()
    )
    seen = select(func.count()).select_from(SPOOL).where(SPOOL.c.seen_ms > now_ms - lease_ms)
    states = connection.execute(select(DESTINATION_STATE)).all()
    return Measures(
        waiting=[*_waiting(connection, *_WITH_ASSET), *_waiting(connection, *_WITHOUT_ASSET)],
        oldest_ms=_oldest(connection),
        late_assets=connection.execute(select(func.count()).select_from(late)).scalar_one(),
        oldest_late_ms=connection.execute(oldest_late).scalar(),
        workers=connection.execute(seen).scalar_one(),
        database_bytes=_database_bytes(connection),
        database_now_ms=_database_now_ms(connection),
        down={row.name for row in states if row.probe_ms is not None},
        paused={row.name for row in states if row.paused_ms is not None},
        allowances=_allowances(connection, paces),
    )


def _waiting(connection: Connection, *which: ColumnElement[bool]) -> list[Waiting]:
    due = select(EVENT.c.source, EVENT.c.asset_host).where(*which).order_by(EVENT.c.due_ms)
    these = due.limit(MOST if which == _WITH_ASSET else _MOST_READ).subquery()
    counted = select(these, func.count()).group_by(these.c.source, these.c.asset_host)
    return [Waiting(*row) for row in connection.execute(counted)]


def _oldest(connection: Connection) -> dict[str, int]:
    found: dict[str, int] = {}
    for which in (_WITH_ASSET, _WITHOUT_ASSET):
        due = select(EVENT.c.source, EVENT.c.received_ms).where(*which).order_by(EVENT.c.due_ms)
        these = due.limit(_MOST_READ).subquery()
        oldest = select(these.c.source, func.min(these.c.received_ms)).group_by(these.c.source)
        for source, received_ms in connection.execute(oldest):
            found[source] = min(received_ms, found.get(source, received_ms))
    return found


def _database_bytes(connection: Connection) -> int:
    if is_sqlite(connection.engine):
        size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    else:
        size = "SELECT pg_database_size(current_database())"
    return int(connection.execute(text(size)).scalar_one())


def _database_now_ms(connection: Connection) -> int | None:
    if is_sqlite(connection.engine):
        return None
    now = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)")
    return int(connection.execute(now).scalar_one())


def _allowances(connection: Connection, paces: Collection[str]) -> dict[str, Allowance]:
    if not paces:
        return {}
    rows = connection.execute(select(PACE).where(PACE.c.name.in_(paces)))
    return {row.name: Allowance(row.most, row.remaining, row.reset_ms, row.skew_ms) for row in rows}
