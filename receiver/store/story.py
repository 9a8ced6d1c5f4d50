"""Everything that is known about one generation: the request, the events, and the outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Connection, select

from receiver.store.attempts import KeptAttempt, kept_attempts
from receiver.store.engine import read_as
from receiver.store.filters import Filter, distinct
from receiver.store.search import FoundDelivery, FoundEvent, ReadEvent, find_deliveries, read_events
from receiver.store.tables import ASSET, EVENT, LATE_ASSET, PENDING, SUBMISSION

_EVENTS: Final = 50
"""Per generation. The provider has three types, and we have one more."""
_DELIVERIES: Final = 200


@dataclass(frozen=True, slots=True)
class LateTries:
    """The attempts at an asset whose event was sent without it."""

    until_ms: int
    due_ms: int
    attempts: int
    error: str | None
    is_claimed: bool
    """Whether a worker has it."""


@dataclass(frozen=True, slots=True)
class EventStory:
    """An event, with everything that came of it. Times are milliseconds since the epoch."""

    event: FoundEvent
    body: bytes
    asset_host: str | None
    due_ms: int | None
    """While its asset is waited for: when it may be retried; if claimed, the end of the lease."""
    is_claimed: bool
    """Whether a worker has its asset."""
    asset_settled_ms: int | None
    late: LateTries | None
    deliveries: Sequence[FoundDelivery]
    failed: Sequence[KeptAttempt]
    """Failed attempts at its asset and its deliveries, oldest first."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request of our client."""

    client_ref: str
    source: str
    kind: str
    state: str
    generation_id: str | None
    sent_ms: int | None
    error: str | None
    request: Mapping[str, Any]
    told: Mapping[str, Any]
    """What the generation's events say about it: `client_ref` and `metadata`."""


@dataclass(frozen=True, slots=True)
class Story:
    """One generation of one source."""

    source: str
    generation_id: str
    submission: Submitted | None
    events: Sequence[EventStory]


def story(connection: Connection, source: str, generation_id: str) -> Story | None:
    """Look up a generation; None if neither an event nor a submission mentions it."""
    ours = select(EVENT.c.id).where(EVENT.c.source == source, EVENT.c.generation_id == generation_id)
    ids = list(connection.execute(ours.order_by(EVENT.c.id).limit(_EVENTS)).scalars())
    found = read_events(connection, Filter(ids=tuple(ids)), after=None, limit=_EVENTS).rows if ids else []
    requested = SUBMISSION.c.source == source, SUBMISSION.c.generation_id == generation_id
    row = connection.execute(select(SUBMISSION).where(*requested)).one_or_none()
    if not found and row is None:
        return None
    events = [_event_story(connection, one) for one in found]
    return Story(source, generation_id, None if row is None else submitted(row), events)


def identify(connection: Connection, text: str) -> list[tuple[str, str]]:
    """Return source and generation for an event id, a generation id or a client reference."""
    by_event = select(EVENT.c.source, EVENT.c.generation_id).where(EVENT.c.id == text)
    by_reference = select(SUBMISSION.c.source, SUBMISSION.c.generation_id).where(
        SUBMISSION.c.client_ref == text, SUBMISSION.c.generation_id.is_not(None)
    )
    found = [tuple(row) for query in (by_event, by_reference) for row in connection.execute(query)]
    for table in (EVENT, SUBMISSION):
        for source in distinct(connection, table.c.source):
            known = select(table.c.id if table is EVENT else table.c.client_ref).where(
                table.c.source == source, table.c.generation_id == text
            )
            if connection.execute(known.limit(1)).one_or_none():
                found.append((source, text))
    return [(source, generation_id) for source, generation_id in dict.fromkeys(found)]


def _event_story(connection: Connection, read: ReadEvent) -> EventStory:
    id_ = read.event.id
    row = connection.execute(
        select(EVENT.c.state, EVENT.c.asset_host, EVENT.c.due_ms, EVENT.c.lease, ASSET.c.settled_ms)
        .outerjoin(ASSET, ASSET.c.event_id == EVENT.c.id)
        .where(EVENT.c.id == id_)
    ).one()
    late = connection.execute(
        select(
            LATE_ASSET.c.until_ms,
            LATE_ASSET.c.due_ms,
            LATE_ASSET.c.attempts,
            LATE_ASSET.c.last_error,
            LATE_ASSET.c.lease.is_not(None),
        ).where(LATE_ASSET.c.event_id == id_)
    ).one_or_none()
    return EventStory(
        read.event,
        read.body,
        asset_host=row.asset_host,
        due_ms=row.due_ms if row.state == PENDING else None,
        is_claimed=row.state == PENDING and row.lease is not None,
        asset_settled_ms=row.settled_ms,
        late=LateTries(*late) if late else None,
        deliveries=find_deliveries(connection, Filter(ids=(id_,)), limit=_DELIVERIES).rows,
        failed=kept_attempts(connection, id_),
    )


def submitted(row: Any) -> Submitted:
    """Return the submission in a row of its table."""
    return read_as(Submitted, row, request=orjson.loads(row.request), told=orjson.loads(row.told))
