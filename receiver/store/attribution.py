"""Which submission an event answers: decided once, before any destination receives it.

The decision is part of the delivery, so the message is the same on every attempt. A webhook may overtake the
response to the request that caused it. So an event is held back briefly while it could belong to a submission
that has no response yet. Whichever of the two transactions comes second sees the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Connection, select, update

from receiver.events import UNKNOWN_KIND, Event, normalize
from receiver.store.engine import wake_others
from receiver.store.jobs import EventJob
from receiver.store.rows import find
from receiver.store.tables import DELIVERY, EVENT, SUBMISSION
from receiver.store.wake import FORWARD

HOLD_MS: Final = 10_000
"""How long an event waits for the response to a request that may have caused it."""
_OPEN_FOR_MS: Final = 3_600_000
"""No event waits for a request older than this."""
_IS_OPEN: Final = (
    "found.generation_id IS NULL AND found.state IN ('sending', 'unknown') AND found.sent_ms >= ?"
)


@dataclass(frozen=True, slots=True)
class Attribution:
    """What an event's deliveries say about its submission, and when they may be sent."""

    submission: str | None
    due_ms: int
    held: bool = False
    """Whether the submission may still be found, so that nothing may depend on it yet."""


@dataclass(frozen=True, slots=True)
class _Open:
    source: str
    kind: str
    prompt: object


def attribute(connection: Connection, jobs: Sequence[EventJob], *, now_ms: int) -> dict[str, Attribution]:
    """Find the submission of each event, by event id; hold back events that may still get one."""
    # Lock and read the open ones first: if they were read last, a response written in between would be
    # missed.
    still_open = _open(connection, {job.source for job in jobs}, since_ms=now_ms - _OPEN_FOR_MS)
    submissions = _submissions(connection, jobs)
    return {job.id: _attribution(job, submissions, still_open, now_ms) for job in jobs}


def attach(connection: Connection, source: str, generation_id: str, submission: str, *, now_ms: int) -> None:
    """Attach *submission* to the events of its generation that were held back for it, and release them."""
    deliveries = connection.execute(
        select(
            DELIVERY.c.event_id,
            DELIVERY.c.attempts,
            DELIVERY.c.due_ms,
            DELIVERY.c.last_error,
            DELIVERY.c.operation,
        )
        .join(EVENT, EVENT.c.id == DELIVERY.c.event_id)
        .where(EVENT.c.source == source, EVENT.c.generation_id == generation_id)
        .order_by(DELIVERY.c.event_id, DELIVERY.c.destination)
        .with_for_update(of=DELIVERY)
    ).all()
    # One that was parked or requeued shows no attempts.
    begun = {
        row.event_id
        for row in deliveries
        if row.attempts or row.last_error is not None or row.operation is not None or row.due_ms <= now_ms
    }
    held = {row.event_id for row in deliveries} - begun
    if held:
        released = {"submission": submission, "due_ms": now_ms}
        connection.execute(update(DELIVERY).where(DELIVERY.c.event_id.in_(sorted(held))).values(released))
        wake_others(connection, FORWARD)


def _open(connection: Connection, sources: set[str], *, since_ms: int) -> list[_Open]:
    rows = find(
        connection,
        SUBMISSION,
        ("source",),
        [(source,) for source in sorted(sources)],
        ("source", "kind", "request", "client_ref"),
        where=_IS_OPEN,
        parameters=(since_ms,),
        lock="FOR SHARE OF found",
    )
    return [_Open(source, kind, orjson.loads(request).get("prompt")) for source, kind, request, _ in rows]


def _submissions(connection: Connection, jobs: Sequence[EventJob]) -> Mapping[tuple[str, str], str]:
    key = ("source", "generation_id")
    wanted = sorted({(job.source, job.generation_id) for job in jobs})
    rows = find(connection, SUBMISSION, key, wanted, (*key, "told"))
    return {(source, generation_id): submission for source, generation_id, submission in rows}


def _attribution(
    job: EventJob, submissions: Mapping[tuple[str, str], str], still_open: Sequence[_Open], now_ms: int
) -> Attribution:
    found = submissions.get((job.source, job.generation_id))
    if found is None and still_open and _may_answer(job, still_open):
        return Attribution(None, now_ms + HOLD_MS, held=True)
    return Attribution(found, now_ms)


def _may_answer(job: EventJob, still_open: Sequence[_Open]) -> bool:
    event: Any = normalize(job.body, source=job.source)
    return isinstance(event, Event) and any(
        one.source == event.source
        and event.kind in (one.kind, UNKNOWN_KIND)
        and event.data.get("prompt") in (one.prompt, None)
        for one in still_open
    )
