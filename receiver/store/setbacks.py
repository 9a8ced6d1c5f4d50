"""Setbacks: work that is postponed, given up or unwanted, written one by one with the reason."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, and_, bindparam, delete, update

from receiver.store.attempts import keep_failures
from receiver.store.jobs import DeliveryJob, EventJob, Key
from receiver.store.late import LateGivenUp, LatePostponed, postpone, remove
from receiver.store.settlements import (
    DeliveryDead,
    DeliveryPostponed,
    DeliveryUnwanted,
    EventKept,
    EventPostponed,
    EventSettled,
)
from receiver.store.tables import DEAD, DELIVERY, EVENT, PENDING

Setback = (
    EventPostponed
    | EventKept
    | DeliveryPostponed
    | DeliveryDead
    | DeliveryUnwanted
    | LatePostponed
    | LateGivenUp
)

_MAX_ERROR_CHARS: Final = 1_000


def write_setbacks(
    connection: Connection, setbacks: Sequence[Setback | EventSettled], settled: set[Key]
) -> set[Key]:
    """Write *setbacks*; return the keys of those whose lease was still valid.

    For events that were given up, whose keys are in *settled*, only the attempt is recorded.
    """
    written = {
        one.job.key for one in setbacks if not isinstance(one, EventSettled) and _write(connection, one)
    }
    held = written | settled
    keep_failures(
        connection,
        {
            one.job.key: (one.job.attempts, one.attempt)
            for one in setbacks
            if not isinstance(one, EventKept | DeliveryUnwanted) and one.attempt and one.job.key in held
        },
    )
    return written


def _write(connection: Connection, setback: Setback) -> bool:
    """Write one setback; False if the lease was lost."""
    match setback:
        case EventPostponed():
            held = _postpone_event(connection, setback)
        case EventKept(job, spool):
            held = _note_kept(connection, job, spool)
        case DeliveryPostponed(job, due_ms, error, parked=parked):
            held = _close(connection, job, PENDING, due_ms, error, uncounted=int(parked))
        case DeliveryDead(job, now_ms, error):
            held = _close(connection, job, DEAD, now_ms, error)
        case DeliveryUnwanted(job):
            held = _remove(connection, job)
        case LatePostponed(job, due_ms, error):
            held = postpone(connection, job, due_ms, _clean(error))
        case LateGivenUp(job):
            held = remove(connection, job)
    return held


_POSTPONE_EVENT: Final = (
    update(EVENT)
    .where(EVENT.c.id == bindparam("job"), EVENT.c.lease == bindparam("held"))
    .values(
        due_ms=bindparam("due"),
        last_error=bindparam("error"),
        kept_by=bindparam("spool"),
        attempts=EVENT.c.attempts - bindparam("uncounted"),
        lease=None,
    )
)
_KEEP_EVENT: Final = (
    update(EVENT)
    .where(EVENT.c.id == bindparam("job"), EVENT.c.lease == bindparam("held"))
    .values(kept_by=bindparam("spool"))
)
_CLOSE_DELIVERY: Final = (
    update(DELIVERY)
    .where(
        DELIVERY.c.event_id == bindparam("job"),
        DELIVERY.c.destination == bindparam("where"),
        DELIVERY.c.lease == bindparam("held"),
    )
    .values(
        state=bindparam("to"),
        due_ms=bindparam("due"),
        settled_ms=bindparam("settled"),
        last_error=bindparam("error"),
        attempts=DELIVERY.c.attempts - bindparam("uncounted"),
        lease=None,
    )
)


def _postpone_event(connection: Connection, postponed: EventPostponed) -> bool:
    values = {
        "job": postponed.job.id,
        "held": postponed.job.lease,
        "due": postponed.due_ms,
        "error": _clean(postponed.error),
        "spool": postponed.kept_by,
        "uncounted": int(postponed.parked),
    }
    return connection.execute(_POSTPONE_EVENT, values).rowcount > 0


def _note_kept(connection: Connection, job: EventJob, spool: str) -> bool:
    values = {"job": job.id, "held": job.lease, "spool": spool}
    return connection.execute(_KEEP_EVENT, values).rowcount > 0


def _remove(connection: Connection, job: DeliveryJob) -> bool:
    held = and_(
        DELIVERY.c.event_id == job.event_id,
        DELIVERY.c.destination == job.destination,
        DELIVERY.c.lease == job.lease,
    )
    return connection.execute(delete(DELIVERY).where(held)).rowcount > 0


def _close(
    connection: Connection, job: DeliveryJob, state: str, due_ms: int, error: str, *, uncounted: int = 0
) -> bool:
    values = {
        "job": job.event_id,
        "where": job.destination,
        "held": job.lease,
        "to": state,
        "due": due_ms,
        "settled": due_ms if state == DEAD else None,
        "error": _clean(error),
        "uncounted": uncounted,
    }
    return connection.execute(_CLOSE_DELIVERY, values).rowcount > 0


def _clean(error: str) -> str:
    """Return *error* in a form every database accepts: no NUL, no lone surrogate, bounded."""
    return error.encode("utf-8", "replace").decode().replace("\0", "")[:_MAX_ERROR_CHARS]
