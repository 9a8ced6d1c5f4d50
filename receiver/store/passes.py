"""The state of reconciling: whose turn it is, how far it got, and what is still missing."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, and_, bindparam, func, or_, select, update

from receiver.contract import EVENT_TYPES
from receiver.store.claim import Claim
from receiver.store.rows import insert_new
from receiver.store.tables import EVENT, RECONCILE, SUBMISSION

_MOST_AWAITED: Final = 1_000
_LOOK_AGAIN: Final = (
    update(SUBMISSION)
    .where(SUBMISSION.c.source == bindparam("of"), SUBMISSION.c.generation_id == bindparam("generation"))
    .values(next_look_ms=bindparam("at_ms"))
)


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to reconcile one source until the lease runs out."""

    source: str
    lease: str
    cursor: str | None
    """What the last turn saved."""


def take_turn(connection: Connection, claim: Claim, *, source: str, at_once: bool = False) -> Turn | None:
    """Take the turn of *source* if it is due; with *at_once*, whenever nobody else has it."""
    insert_new(connection, RECONCILE, ("source",), [{"source": source, "due_ms": 0}])
    due = RECONCILE.c.due_ms <= claim.now_ms
    free = or_(due, RECONCILE.c.lease.is_(None)) if at_once else due
    taken = (
        update(RECONCILE)
        .where(RECONCILE.c.source == source, free)
        .values(due_ms=claim.until_ms, lease=claim.lease)
        .returning(RECONCILE.c.cursor)
    )
    row = connection.execute(taken).one_or_none()
    return None if row is None else Turn(source, claim.lease, row.cursor)


def kept_cursor(connection: Connection, source: str) -> str | None:
    """Return what the last turn of *source* saved."""
    return connection.execute(select(RECONCILE.c.cursor).where(RECONCILE.c.source == source)).scalar()


def save_cursor(connection: Connection, turn: Turn, cursor: str, looks: Mapping[str, int] = {}) -> bool:
    """Save the progress of *turn*, and when to look again at each submitted generation in *looks*.

    False if another worker has the turn by now.
    """
    held = and_(RECONCILE.c.source == turn.source, RECONCILE.c.lease == turn.lease)
    if not connection.execute(update(RECONCILE).where(held).values(cursor=cursor)).rowcount:
        return False
    if looks:
        again = [{"of": turn.source, "generation": id_, "at_ms": at_ms} for id_, at_ms in looks.items()]
        connection.execute(_LOOK_AGAIN, again)
    return True


def end_turn(connection: Connection, turn: Turn, *, due_ms: int) -> None:
    """Give the turn back; the next one is at *due_ms*."""
    held = and_(RECONCILE.c.source == turn.source, RECONCILE.c.lease == turn.lease)
    connection.execute(update(RECONCILE).where(held).values(due_ms=due_ms, lease=None))


def known_endings(
    connection: Connection, source: str, generation_ids: Collection[str]
) -> set[tuple[str, str]]:
    """Return generation and type of the events that exist already."""
    rows = connection.execute(
        select(EVENT.c.generation_id, EVENT.c.type).where(
            EVENT.c.source == source, EVENT.c.generation_id.in_(generation_ids), EVENT.c.type.in_(EVENT_TYPES)
        )
    )
    return {(row.generation_id, row.type) for row in rows}


def awaited(connection: Connection, source: str, *, since_ms: int, now_ms: int) -> dict[str, int]:
    """Return generations that our client requested since then without a final event, and when each was sent.

    Those looked at already queue behind all that were sent before the look. Postponed ones are left out.
    """
    ending = and_(
        EVENT.c.source == SUBMISSION.c.source,
        EVENT.c.generation_id == SUBMISSION.c.generation_id,
        EVENT.c.type.in_(EVENT_TYPES),
    )
    rows = connection.execute(
        select(SUBMISSION.c.generation_id, SUBMISSION.c.sent_ms)
        .outerjoin(EVENT, ending)
        .where(
            SUBMISSION.c.source == source,
            SUBMISSION.c.generation_id.is_not(None),
            SUBMISSION.c.sent_ms >= since_ms,
            or_(SUBMISSION.c.next_look_ms.is_(None), SUBMISSION.c.next_look_ms <= now_ms),
            EVENT.c.id.is_(None),
        )
        .order_by(func.coalesce(SUBMISSION.c.next_look_ms, SUBMISSION.c.sent_ms), SUBMISSION.c.sent_ms)
        .limit(_MOST_AWAITED)
    )
    return {row.generation_id: row.sent_ms for row in rows}
