"""Late assets: retried in the background after their events were sent without them.

Only completions have them: the completion's file supersedes those of other events. A follow-up is an ordinary
event, settled from the start. It is sent, replayed and routed like any other.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, update

from receiver.contract import COMPLETED
from receiver.events import Asset
from receiver.outcomes import FailedAttempt
from receiver.store.assets import IS_GIVEN_UP
from receiver.store.claim import NOTHING_AWAY, Away, Claim, take
from receiver.store.jobs import ALL_SOURCES, LateJob, Sources, event_job
from receiver.store.record import NewEvent
from receiver.store.rows import insert_new
from receiver.store.tables import ASSET, EVENT, LATE_ASSET, PRUNED

_COLUMNS: Final = (
    EVENT.c.id,
    EVENT.c.source,
    EVENT.c.generation_id,
    EVENT.c.asset_host,
    EVENT.c.body,
    EVENT.c.received_ms,
    LATE_ASSET.c.attempts,
    LATE_ASSET.c.until_ms,
)


@dataclass(frozen=True, slots=True)
class LateArrived:
    """The asset arrived after all; *event* reports it."""

    job: LateJob
    asset: Asset
    event: NewEvent
    now_ms: int


@dataclass(frozen=True, slots=True)
class LatePostponed:
    """The asset is retried at *due_ms*."""

    job: LateJob
    due_ms: int
    error: str
    attempt: FailedAttempt | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class LateGivenUp:
    """The asset is given up for good; its event's message stays true."""

    job: LateJob
    error: str
    attempt: FailedAttempt | None = field(default=None, compare=False)


LateSettlement = LateArrived | LatePostponed | LateGivenUp


def claim_late(
    connection: Connection,
    claim: Claim,
    *,
    sources: Sources = ALL_SOURCES,
    except_hosts: Collection[str] = (),
    away: Away = NOTHING_AWAY,
) -> Sequence[LateJob]:
    """Claim due late assets of *sources*, oldest first; skip *except_hosts* and whatever is *away*."""
    due = and_(LATE_ASSET.c.due_ms <= claim.now_ms, sources.condition())
    if except_hosts:
        due = and_(due, EVENT.c.asset_host.not_in(except_hosts))
    if away.hosts:
        due = and_(due, or_(EVENT.c.asset_host.not_in(away.hosts), LATE_ASSET.c.until_ms <= claim.now_ms))
    statement = (
        select(*_COLUMNS)
        .join(EVENT, EVENT.c.id == LATE_ASSET.c.event_id)
        .where(due)
        .order_by(LATE_ASSET.c.due_ms)
        .limit(claim.limit)
        .with_for_update(skip_locked=True, of=LATE_ASSET)
    )
    rows = connection.execute(statement).all()
    if rows:
        take(connection, LATE_ASSET, ("event_id",), [(row.id,) for row in rows], claim)
    return [_job(row, claim) for row in rows]


def take_failed(connection: Connection, claim: Claim, *, event_id: str) -> LateJob | None:
    """Claim the given-up asset of one completion for another attempt, whatever its due time was.

    None if it is not given up, or if a worker is trying it.
    """
    if not is_given_up(connection, event_id):
        return None
    new = {"event_id": event_id, "until_ms": claim.now_ms, "due_ms": claim.now_ms, "attempts": 0}
    insert_new(connection, LATE_ASSET, ("event_id",), [new])
    free = or_(LATE_ASSET.c.lease.is_(None), LATE_ASSET.c.due_ms <= claim.now_ms)
    ours = (
        select(*_COLUMNS)
        .join(EVENT, EVENT.c.id == LATE_ASSET.c.event_id)
        .where(LATE_ASSET.c.event_id == event_id, free)
        .with_for_update(of=LATE_ASSET)
    )
    row = connection.execute(ours).one_or_none()
    if row is None:
        return None
    # Checked again under the lock that reporting takes first: it may have arrived meanwhile.
    if not is_given_up(connection, event_id):
        connection.execute(delete(LATE_ASSET).where(LATE_ASSET.c.event_id == event_id))
        return None
    take(connection, LATE_ASSET, ("event_id",), [(event_id,)], claim)
    return _job(row, claim)


def is_given_up(connection: Connection, event_id: str) -> bool:
    """Return whether this is a completion that was sent without its asset."""
    given_up = (
        select(ASSET.c.event_id)
        .join(EVENT, EVENT.c.id == ASSET.c.event_id)
        .where(ASSET.c.event_id == event_id, IS_GIVEN_UP, EVENT.c.type == COMPLETED, EVENT.c.state != PRUNED)
    )
    return connection.execute(given_up).one_or_none() is not None


def postpone(connection: Connection, job: LateJob, due_ms: int, error: str) -> bool:
    """Postpone the asset; False if the lease was lost."""
    values = {"due_ms": due_ms, "last_error": error, "lease": None}
    return bool(connection.execute(update(LATE_ASSET).where(_held(job)).values(values)).rowcount)


def remove(connection: Connection, job: LateJob) -> bool:
    """Remove the asset from the queue, whatever its result; False if the lease was lost."""
    return bool(connection.execute(delete(LATE_ASSET).where(_held(job))).rowcount)


def _held(job: LateJob) -> ColumnElement[bool]:
    return and_(LATE_ASSET.c.event_id == job.id, LATE_ASSET.c.lease == job.lease)


def _job(row: Any, claim: Claim) -> LateJob:
    return event_job(LateJob, row, lease=claim.lease, attempts=row.attempts + 1, until_ms=row.until_ms)
