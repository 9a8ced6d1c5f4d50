"""Claims due work under a lease.

Any number of workers may claim at once: PostgreSQL skips rows that another claim holds, and SQLite runs one
claim at a time. A claim counts the attempt before the work starts, so work that kills its worker is counted
too.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Table,
    and_,
    bindparam,
    exists,
    literal_column,
    or_,
    select,
    update,
)

from receiver.store.assets import ASSET_COLUMNS, asset_if_any
from receiver.store.engine import wake_others
from receiver.store.jobs import ALL_SOURCES, DeliveryJob, EventJob, Keeper, Sources, event_job
from receiver.store.rows import Keys, change
from receiver.store.spools import gone_after_s
from receiver.store.tables import (
    ASSET,
    DELIVERY,
    DESTINATION_STATE,
    EVENT,
    LATE_ASSET,
    PENDING,
    RECONCILE,
    SPOOL,
)
from receiver.store.wake import TOPICS

IS_PENDING: Final = literal_column(f"'{PENDING}'", EVENT.c.state.type)
"""A literal in the statement: neither planner would use the partial index for a bound parameter."""


@dataclass(frozen=True, slots=True)
class Away:
    """What a claim skips because it cannot be used now."""

    hosts: Collection[str] = ()
    """Assets on these hosts are skipped."""
    overdue_ms: int = 0
    """Events received before this are taken anyway: they have waited long enough."""
    downloaded: bool | None = None
    """True takes only what the claiming worker has downloaded, False only what it has not."""


NOTHING_AWAY: Final = Away()


@dataclass(frozen=True, slots=True)
class Claim:
    """How to claim work: due by when, leased until when, and under which name."""

    now_ms: int
    until_ms: int
    lease: str
    """A random name, never reused for another claim."""
    limit: int


def _deliveries(due: ColumnElement[bool]) -> Executable:
    """Build the statement for all claims once: building it takes longer than running it."""
    state = DESTINATION_STATE.c
    is_paused = exists().where(state.name == bindparam("destination"), state.paused_ms.is_not(None))
    ours = DELIVERY.c.destination == bindparam("destination")
    statement = (
        select(
            DELIVERY.c.event_id,
            DELIVERY.c.attempts,
            DELIVERY.c.submission,
            DELIVERY.c.undecided,
            DELIVERY.c.operation,
            DELIVERY.c.due_ms,
            EVENT.c.source,
            EVENT.c.generation_id,
            EVENT.c.body,
            EVENT.c.received_ms,
            *ASSET_COLUMNS,
        )
        .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
        .outerjoin(ASSET, ASSET.c.event_id == DELIVERY.c.event_id)
        .where(DELIVERY.c.state == IS_PENDING, ours, due, ~is_paused)
        .order_by(DELIVERY.c.due_ms)
        .limit(bindparam("most"))
    )
    return statement.with_for_update(skip_locked=True, of=DELIVERY)


_DUE: Final = _deliveries(and_(DELIVERY.c.due_ms >= 0, DELIVERY.c.due_ms <= bindparam("now_ms")))
_BACKFILLED: Final = _deliveries(DELIVERY.c.due_ms < 0)
_EVENTS_WITHOUT_ASSET: Final = (
    select(EVENT)
    .where(EVENT.c.state == IS_PENDING, EVENT.c.due_ms <= bindparam("now_ms"), EVENT.c.asset_host.is_(None))
    .order_by(EVENT.c.due_ms)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


def claim_events(
    connection: Connection,
    claim: Claim,
    *,
    with_asset: bool,
    sources: Sources = ALL_SOURCES,
    except_hosts: Collection[str] = (),
    spool: str = "",
    away: Away = NOTHING_AWAY,
) -> list[EventJob]:
    """Claim due events of *sources*, oldest first: those with an asset to fetch, or those without.

    Skips assets on *except_hosts* and whatever is *away*. If another folder than *spool* has the download,
    the event is left to the workers there, as long as one of them was seen within a lease. If no folder has
    it, *spool* is recorded as its keeper. The jobs returned name the keeper from before.
    """
    has_asset = EVENT.c.asset_host.is_not(None) if with_asset else EVENT.c.asset_host.is_(None)
    due = and_(EVENT.c.state == IS_PENDING, EVENT.c.due_ms <= claim.now_ms, has_asset, sources.condition())
    if with_asset:
        due = and_(due, _is_ours(spool, claim, away.downloaded))
    if away.hosts:
        due = and_(due, or_(EVENT.c.asset_host.not_in(away.hosts), EVENT.c.received_ms <= away.overdue_ms))
    if except_hosts:
        due = and_(due, EVENT.c.asset_host.not_in(except_hosts))
    statement = select(EVENT).where(due).order_by(EVENT.c.due_ms).limit(claim.limit)
    rows = connection.execute(statement.with_for_update(skip_locked=True)).all()
    # The claim also records who keeps the download.
    ours = spool if with_asset else ""
    free = [(row.id,) for row in rows if ours and not row.kept_by]
    others = [(row.id,) for row in rows if not ours or row.kept_by]
    take(connection, EVENT, ("id",), free, claim, kept_by=ours)
    take(connection, EVENT, ("id",), others, claim)
    keepers = _keepers(connection, {row.kept_by for row in rows if row.kept_by})
    return event_jobs(rows, claim, keepers)


def lock_without_asset(connection: Connection, claim: Claim) -> Sequence[Any]:
    """Return due events without an asset to fetch, oldest first, locked until the transaction ends."""
    return connection.execute(_EVENTS_WITHOUT_ASSET, {"now_ms": claim.now_ms, "most": claim.limit}).all()


def event_jobs(
    rows: Sequence[Any], claim: Claim, keepers: Mapping[str, Keeper] = MappingProxyType({})
) -> list[EventJob]:
    """Return jobs for the events that *claim* takes."""
    return [
        event_job(
            EventJob,
            row,
            lease=claim.lease,
            attempts=row.attempts + 1,
            last_error=row.last_error,
            kept_by=keepers.get(row.kept_by),
        )
        for row in rows
    ]


def _is_ours(spool: str, claim: Claim, downloaded: bool | None) -> ColumnElement[bool]:  # noqa: FBT001  or None
    """Whether no other folder has the download; *spool* must have it, or must not, as requested."""
    if downloaded:
        return EVENT.c.kept_by == spool
    lease_s = (claim.until_ms - claim.now_ms) / 1000
    alive = SPOOL.c.seen_ms > claim.now_ms - int(gone_after_s(lease_s) * 1000)
    left = and_(alive, SPOOL.c.id != spool) if downloaded is None else or_(alive, SPOOL.c.id == spool)
    return or_(EVENT.c.kept_by.is_(None), EVENT.c.kept_by.not_in(select(SPOOL.c.id).where(left)))


def _keepers(connection: Connection, spools: Collection[str]) -> dict[str, Keeper]:
    if not spools:
        return {}
    known = connection.execute(select(SPOOL.c.id, SPOOL.c.seen_ms).where(SPOOL.c.id.in_(spools)))
    seen = {row.id: row.seen_ms for row in known}
    return {spool: Keeper(spool, seen.get(spool)) for spool in spools}


def claim_deliveries(connection: Connection, claim: Claim, *, destination: str) -> list[DeliveryJob]:
    """Claim due deliveries of one destination, oldest first; none while it is paused.

    Backfilled deliveries come last.
    """
    rows = _due_deliveries(connection, _DUE, claim, destination, claim.limit)
    if len(rows) < claim.limit:
        rows += _due_deliveries(connection, _BACKFILLED, claim, destination, claim.limit - len(rows))
    key = ("event_id", "destination")
    take(connection, DELIVERY, key, [(row.event_id, destination) for row in rows], claim)
    return [_delivery_job(row, destination, claim.lease) for row in rows]


def _due_deliveries(
    connection: Connection, statement: Executable, claim: Claim, destination: str, limit: int
) -> list[Any]:
    parameters = {"destination": destination, "now_ms": claim.now_ms, "most": limit}
    return list(connection.execute(statement, parameters))


def renew(connection: Connection, leases: Collection[str], *, until_ms: int) -> None:
    """Extend *leases* to *until_ms*, for work that takes longer than one lease."""
    for table in (EVENT, DELIVERY):
        connection.execute(update(table).where(_held(table, leases)).values(due_ms=until_ms))
    for table in (RECONCILE, LATE_ASSET):
        connection.execute(update(table).where(table.c.lease.in_(leases)).values(due_ms=until_ms))


def release(connection: Connection, leases: Collection[str], *, now_ms: int) -> None:
    """Give unfinished work back, due at once and without counting the attempt."""
    for table, held in (
        (EVENT, _held(EVENT, leases)),
        (DELIVERY, _held(DELIVERY, leases)),
        (LATE_ASSET, LATE_ASSET.c.lease.in_(leases)),
    ):
        released = {"due_ms": now_ms, "lease": None, "attempts": table.c.attempts - 1}
        connection.execute(update(table).where(held).values(released))
    free = {"due_ms": now_ms, "lease": None}
    connection.execute(update(RECONCILE).where(RECONCILE.c.lease.in_(leases)).values(free))
    for topic in TOPICS:
        wake_others(connection, topic)


def take(
    connection: Connection, table: Table, key: tuple[str, ...], rows: Keys, claim: Claim, **noted: Any
) -> None:
    """Lease *rows* of a queue, by *key*, to the claim; count the attempt and write what is *noted*."""
    held = {"due_ms": claim.until_ms, "lease": claim.lease, **noted}
    change(connection, table, key, rows, held, also="attempts = attempts + 1")


def _held(table: Table, leases: Collection[str]) -> ColumnElement[bool]:
    return and_(table.c.state == IS_PENDING, table.c.lease.in_(leases))


def _delivery_job(row: Any, destination: str, lease: str) -> DeliveryJob:
    return DeliveryJob(
        event_id=row.event_id,
        destination=destination,
        source=row.source,
        generation_id=row.generation_id,
        body=row.body,
        received_ms=row.received_ms,
        asset=asset_if_any(row),
        attempts=row.attempts + 1,
        lease=lease,
        submission=orjson.loads(row.submission) if row.submission else None,
        undecided=bool(row.undecided),
        is_first=row.operation is None and row.due_ms >= 0,
    )
