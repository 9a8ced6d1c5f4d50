"""What waits in each stage right now, at a cost that no backlog raises: only so many rows are counted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, select, text

from receiver.store.backlog import PENDING_ONES, SETTLED_ONES
from receiver.store.claim import IS_PENDING
from receiver.store.destinations import known_destinations
from receiver.store.tables import (
    DEAD,
    DELIVERY,
    DESTINATION_STATE,
    EVENT,
    LATE_ASSET,
    OPEN,
    PACE,
    QUARANTINE,
    SPOOL,
)

COUNTED: Final = 10_000
"""No more rows are counted, all of them in an index."""
_SAMPLED: Final = 1_000
"""The oldest is looked for among so many that are due first: these are read."""
_HOSTS: Final = 20
_ERRORS: Final = 100
_WORKERS: Final = 50
_IS_OPEN: Final = QUARANTINE.c.state == literal(OPEN, literal_execute=True)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in one stage."""

    count: int
    """`COUNTED` at most; then there may be more."""
    oldest_ms: int | None
    """When the oldest was received, of those that are due first."""
    error: str | None = None
    """Why one of them was put off last."""


@dataclass(frozen=True, slots=True)
class HostStanding:
    """What waits for the assets of one host."""

    source: str
    host: str
    waiting: int
    oldest_ms: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class DestinationStanding:
    """How one destination is doing."""

    name: str
    waiting: Waiting
    dead: int
    """`COUNTED` at most."""
    paused_ms: int | None
    reason: str | None
    probe_ms: int | None
    """While the breaker of some worker is open: when that worker tries again."""


@dataclass(frozen=True, slots=True)
class Spool:
    """A spool folder, and when a worker that has it was last seen."""

    id: str
    seen_ms: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of the rate limit of one API key."""

    limit: int | None
    remaining: int | None
    reset_ms: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that waits."""

    mirroring: Waiting
    hosts: Sequence[HostStanding]
    late: Waiting
    destinations: Sequence[DestinationStanding]
    quarantined: int
    spools: Sequence[Spool]
    allowances: Sequence[Allowance]
    database_bytes: int


def standing(connection: Connection, configured: Collection[str]) -> Standing:
    """Look up what waits for assets, for each destination, and for an operator."""
    return Standing(
        mirroring=_mirroring(connection),
        hosts=_hosts(connection),
        late=_late(connection),
        destinations=destination_standings(connection, known_destinations(connection, configured)),
        quarantined=_capped(connection, select(QUARANTINE.c.id).where(_IS_OPEN)),
        spools=_spools(connection),
        allowances=_allowances(connection),
        database_bytes=_size(connection),
    )


def destination_standings(connection: Connection, names: Sequence[str]) -> list[DestinationStanding]:
    """Look up how the destinations called *names* are doing."""
    return [_destination(connection, name) for name in names]


def _mirroring(connection: Connection) -> Waiting:
    count = _capped(connection, _first_due(COUNTED, EVENT.c.due_ms))
    oldest_ms, error = _sampled(connection, _first_due(_SAMPLED, EVENT.c.received_ms, EVENT.c.last_error))
    return Waiting(count, oldest_ms, error)


def _first_due(limit: int, *columns: ColumnElement[Any]) -> Select[Any]:
    """Select the first that are due of the events that wait for an asset."""
    waiting = and_(EVENT.c.state == IS_PENDING, EVENT.c.asset_host.is_not(None))
    return select(*columns).where(waiting).order_by(EVENT.c.due_ms).limit(limit)


def _sampled(connection: Connection, first: Select[Any]) -> tuple[int | None, str | None]:
    found = first.subquery()
    oldest_ms, error = connection.execute(select(func.min(found.c[0]), func.max(found.c[1]))).one()
    return oldest_ms, error


def _hosts(connection: Connection) -> list[HostStanding]:
    key = (EVENT.c.source, EVENT.c.asset_host)
    counted = _first_due(COUNTED, *key).subquery()
    counts = (
        select(counted.c.source, counted.c.asset_host, func.count())
        .group_by(counted.c.source, counted.c.asset_host)
        .order_by(func.count().desc())
        .limit(_HOSTS)
    )
    first = _first_due(_SAMPLED, *key, EVENT.c.received_ms, EVENT.c.last_error).subquery()
    samples = select(
        first.c.source, first.c.asset_host, func.min(first.c.received_ms), func.max(first.c.last_error)
    ).group_by(first.c.source, first.c.asset_host)
    told = {(source, host): tuple(rest) for source, host, *rest in connection.execute(samples)}
    return [
        HostStanding(source, host, count, *told.get((source, host), (None, None)))
        for source, host, count in connection.execute(counts)
    ]


def _late(connection: Connection) -> Waiting:
    queued = select(LATE_ASSET.c.event_id, LATE_ASSET.c.last_error).order_by(LATE_ASSET.c.due_ms)
    first = queued.limit(COUNTED).subquery()
    joined = select(EVENT.c.received_ms, first.c.last_error).join(EVENT, EVENT.c.id == first.c.event_id)
    found = joined.subquery()
    return _waiting(connection, found.c.received_ms, found.c.last_error)


def _waiting(
    connection: Connection, received: ColumnElement[int], error: ColumnElement[str | None]
) -> Waiting:
    count, oldest_ms, last = connection.execute(
        select(func.count(), func.min(received), func.max(error))
    ).one()
    return Waiting(count, oldest_ms, last)


def _destination(connection: Connection, name: str) -> DestinationStanding:
    state = DESTINATION_STATE.c
    kept = connection.execute(
        select(state.paused_ms, state.reason, state.probe_ms).where(state.name == name)
    ).one_or_none()
    settled = select(DELIVERY.c.settled_ms).where(
        SETTLED_ONES, DELIVERY.c.destination == name, DELIVERY.c.state == DEAD
    )
    return DestinationStanding(
        name, _pending(connection, name), _capped(connection, settled), *(kept or (None, None, None))
    )


def _pending(connection: Connection, name: str) -> Waiting:
    is_ours = and_(PENDING_ONES, DELIVERY.c.destination == name)
    ours = select(DELIVERY.c.event_id, DELIVERY.c.last_error).where(is_ours)
    count = _capped(connection, select(DELIVERY.c.due_ms).where(is_ours))
    first = ours.order_by(DELIVERY.c.due_ms).limit(_SAMPLED).subquery()
    # An event id begins with its time, so the smallest is the oldest.
    oldest = connection.execute(select(func.min(first.c.event_id))).scalar()
    received = select(EVENT.c.received_ms).where(EVENT.c.id == oldest)
    oldest_ms = connection.execute(received).scalar() if oldest else None
    # What failed was put off, and so stands at the end.
    last = ours.order_by(DELIVERY.c.due_ms.desc()).limit(_ERRORS).subquery()
    error = select(last.c.last_error).where(last.c.last_error.is_not(None)).limit(1)
    return Waiting(count, oldest_ms, connection.execute(error).scalar())


def _capped(connection: Connection, rows: Select[Any]) -> int:
    counted = select(func.count()).select_from(rows.limit(COUNTED).subquery())
    return connection.execute(counted).scalar_one()


def _spools(connection: Connection) -> list[Spool]:
    latest = select(SPOOL.c.id, SPOOL.c.seen_ms).order_by(SPOOL.c.seen_ms.desc()).limit(_WORKERS)
    return [Spool(*row) for row in connection.execute(latest)]


def _allowances(connection: Connection) -> list[Allowance]:
    kept = select(PACE.c.most, PACE.c.remaining, PACE.c.reset_ms).where(PACE.c.most.is_not(None))
    return [Allowance(*row) for row in connection.execute(kept.order_by(PACE.c.name).limit(_WORKERS))]


def _size(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    return int(pages) * int(connection.execute(text("PRAGMA page_size")).scalar_one())
