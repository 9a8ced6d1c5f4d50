"""What an operator can do about one event's asset: retry it now, or give it up."""

from typing import Literal

from sqlalchemy import Connection, select, update

from receiver.store.claim import IS_PENDING, Claim, take
from receiver.store.jobs import EventJob, event_job
from receiver.store.late import is_given_up
from receiver.store.rows import insert_new
from receiver.store.tables import EVENT, LATE_ASSET

Hurried = Literal["pending", "late", "given up"]
"""What the asset was before: waited for, retried after its event was sent, or no longer retried."""


def mirror_now(connection: Connection, event_id: str, *, now_ms: int, until_ms: int) -> Hurried | None:
    """Make an event's asset due at once; None if there is none to mirror, or a worker has it.

    An asset that was given up is retried until *until_ms*. If it arrives, a follow-up is sent.
    """
    waiting = update(EVENT).where(
        EVENT.c.id == event_id, EVENT.c.state == IS_PENDING, EVENT.c.lease.is_(None)
    )
    if connection.execute(waiting.values(due_ms=now_ms)).rowcount:
        return "pending"
    late = update(LATE_ASSET).where(LATE_ASSET.c.event_id == event_id, LATE_ASSET.c.lease.is_(None))
    if connection.execute(late.values(due_ms=now_ms)).rowcount:
        return "late"
    if not is_given_up(connection, event_id):
        return None
    new = {"event_id": event_id, "until_ms": until_ms, "due_ms": now_ms, "attempts": 0}
    return "given up" if insert_new(connection, LATE_ASSET, ("event_id",), [new]) else None


def take_pending(connection: Connection, claim: Claim, *, event_id: str) -> EventJob | None:
    """Claim one event that is waiting for its asset; None if it is not waiting, or a worker has it."""
    ours = select(EVENT).where(EVENT.c.id == event_id, EVENT.c.state == IS_PENDING, EVENT.c.lease.is_(None))
    row = connection.execute(ours.with_for_update()).one_or_none()
    if row is None:
        return None
    take(connection, EVENT, ("id",), [(event_id,)], claim)
    return event_job(EventJob, row, lease=claim.lease, attempts=row.attempts + 1)
