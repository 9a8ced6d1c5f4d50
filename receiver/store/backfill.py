"""Backfill: deliveries for events that were settled before a destination existed.

Events are paged by id. An id starts with the time of receipt, so a page is a range of the primary key. An
interrupted backfill can start over and skip what exists, or continue after a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, func, select

from receiver.events import first_id
from receiver.store.assets import ASSET_COLUMNS, asset_if_any
from receiver.store.attribution import attribute
from receiver.store.engine import wake_others
from receiver.store.fanout import Candidate, Route, delivery_row
from receiver.store.jobs import EventJob, event_job
from receiver.store.rows import insert_new
from receiver.store.tables import ASSET, DELIVERY, EVENT, SETTLED
from receiver.store.wake import FORWARD

BEHIND_MS: Final = 2**53
"""Subtracted from the time of receipt, it gives a negative due time, which still sorts the oldest first."""
_LATEST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Past:
    """What a destination may have missed: settled events, by time of receipt."""

    destination: str
    since_ms: int = 0
    until_ms: int = 2**48 - 1
    """Exclusive."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A bounded part of the past."""

    now_ms: int
    limit: int = 200
    after: str = ""
    """The page begins after this event id."""


@dataclass(frozen=True, slots=True)
class Backfilled:
    """The result of one page."""

    events: int
    """How many settled events there were; if fewer than the limit, this was the last page."""
    created: int
    """How many of them now go to the destination, or would, in a dry run."""
    existing: int
    """How many had deliveries already."""
    last: str
    """The id of the last event, where the next page begins."""


def backfill(connection: Connection, past: Past, page: Stretch, *, route: Route, dry_run: bool) -> Backfilled:
    """Make the missing deliveries of one page."""
    rows = _events(connection, past, page)
    missing = [row for row in rows if row.destination is None]
    wanted = [one for one in _candidates(connection, missing, page.now_ms) if route(one, [past.destination])]
    created = len(wanted)
    if wanted and not dry_run:
        deliveries = [delivery_row(one, past.destination, _due_ms(one)) for one in wanted]
        created = insert_new(connection, DELIVERY, ("event_id", "destination"), deliveries)
        wake_others(connection, FORWARD)
    return Backfilled(len(rows), created, len(rows) - len(missing), rows[-1].id if rows else page.after)


def count_missed(connection: Connection, destination: str) -> int:
    """Count the latest settled events; 0 if *destination* got any of them."""
    latest = (
        select(EVENT.c.id)
        .where(EVENT.c.state == SETTLED)
        .order_by(EVENT.c.id.desc())
        .limit(_LATEST)
        .subquery()
    )
    theirs = and_(DELIVERY.c.event_id == latest.c.id, DELIVERY.c.destination == destination)
    counted = select(func.count(latest.c.id), func.count(DELIVERY.c.event_id)).select_from(
        latest.outerjoin(DELIVERY, theirs)
    )
    events, deliveries = connection.execute(counted).one()
    return 0 if deliveries else int(events)


def _events(connection: Connection, past: Past, page: Stretch) -> Sequence[Row[Any]]:
    theirs = and_(DELIVERY.c.event_id == EVENT.c.id, DELIVERY.c.destination == past.destination)
    statement = (
        select(EVENT, *ASSET_COLUMNS, DELIVERY.c.destination)
        .outerjoin(ASSET, ASSET.c.event_id == EVENT.c.id)
        .outerjoin(DELIVERY, theirs)
        .where(
            EVENT.c.state == SETTLED,
            EVENT.c.id > page.after,
            EVENT.c.id >= first_id(past.since_ms),
            EVENT.c.id < first_id(past.until_ms),
        )
        .order_by(EVENT.c.id)
        .limit(page.limit)
        # An event is not pruned while deliveries of it are made, nor the other way round.
        .with_for_update(read=True, key_share=True, of=EVENT)
    )
    return connection.execute(statement).all()


def _candidates(connection: Connection, rows: Sequence[Row[Any]], now_ms: int) -> list[Candidate]:
    jobs = {row.id: event_job(EventJob, row, lease="", attempts=row.attempts) for row in rows}
    attributions = attribute(connection, list(jobs.values()), now_ms=now_ms) if jobs else {}
    return [Candidate(jobs[row.id], asset_if_any(row), attributions[row.id]) for row in rows]


def _due_ms(candidate: Candidate) -> int:
    """Return a due time that sorts after live deliveries; an event held for its submission keeps its own."""
    if candidate.attribution.held:
        return candidate.attribution.due_ms
    return candidate.job.received_ms - BEHIND_MS
