"""Erases one generation: removes everything personal, and keeps the keys that identify a repeat."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, func, or_, select, update

from receiver.store import audit
from receiver.store.audit import Deed
from receiver.store.retention import empty, forget_requests
from receiver.store.tables import (
    ASSET,
    DELIVERY,
    EVENT,
    LATE_ASSET,
    PENDING,
    PRUNED,
    QUARANTINE,
    RETAINED,
    SUBMISSION,
)


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of one source."""

    source: str
    id: str


@dataclass(frozen=True, slots=True)
class Traces:
    """What the store holds about one generation, and what was, or would be, erased."""

    event_ids: tuple[str, ...]
    bodies: int
    deliveries: int
    submissions: int
    quarantined: int
    asset_urls: tuple[str, ...]
    """Files that no other generation uses."""
    shared_urls: tuple[str, ...]
    """Files that others use too."""
    is_claimed: bool
    """Whether a worker is handling it, so that nothing can be erased now."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not (self.event_ids or self.submissions)


def find_traces(connection: Connection, generation: Generation, *, now_ms: int) -> Traces:
    """Find what is stored about *generation*. Its events and deliveries stay locked in the transaction."""
    events = connection.execute(select(EVENT).where(_about(EVENT, generation)).with_for_update()).all()
    ids = [row.id for row in events]
    deliveries = connection.execute(
        select(DELIVERY).where(DELIVERY.c.event_id.in_(ids)).with_for_update()
    ).all()
    late = connection.execute(
        select(LATE_ASSET).where(LATE_ASSET.c.event_id.in_(ids)).with_for_update()
    ).all()
    pending = [row for row in (*events, *deliveries) if row.state == PENDING]
    mine, shared = _urls(connection, ids)
    return Traces(
        event_ids=tuple(ids),
        bodies=sum(row.state != PRUNED for row in events),
        deliveries=len(deliveries),
        submissions=_count(connection, SUBMISSION, _about(SUBMISSION, generation)),
        quarantined=_count(connection, QUARANTINE, _quarantined(ids)),
        asset_urls=mine,
        shared_urls=shared,
        is_claimed=any(row.lease is not None and row.due_ms > now_ms for row in (*pending, *late)),
    )


def erase(connection: Connection, generation: Generation, deed: Deed, *, with_assets: bool) -> Traces:
    """Erase *generation*, log *deed*, and return what there was. Does nothing while a worker holds any of it.

    The caller first removes the files, and the downloads waiting on disk.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")  # overwrites freed space with zeroes
    traces = find_traces(connection, generation, now_ms=deed.at_ms)
    if traces.is_claimed or traces.is_empty:
        return traces
    audit.write_down(connection, deed)
    ids = traces.event_ids
    for table in (DELIVERY, LATE_ASSET, RETAINED):
        connection.execute(delete(table).where(table.c.event_id.in_(ids)))
    empty(connection, ids)
    if with_assets:
        gone = and_(ASSET.c.event_id.in_(ids), or_(ASSET.c.url.in_(traces.asset_urls), ASSET.c.url.is_(None)))
        connection.execute(delete(ASSET).where(gone))
    connection.execute(update(QUARANTINE).where(_quarantined(ids)).values(state=PRUNED, body=b""))
    named = select(SUBMISSION.c.client_ref).where(_about(SUBMISSION, generation))
    forget_requests(connection, list(connection.execute(named).scalars()))
    return traces


def _about(table: Any, generation: Generation) -> Any:
    return and_(table.c.source == generation.source, table.c.generation_id == generation.id)


def _quarantined(ids: Collection[str]) -> Any:
    return and_(QUARANTINE.c.event_id.in_(ids), QUARANTINE.c.state != PRUNED)


def _count(connection: Connection, table: Any, which: Any) -> int:
    return connection.execute(select(func.count()).select_from(table).where(which)).scalar_one()


def _urls(connection: Connection, ids: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files that only the events *ids* have, and those shared with other events."""
    theirs = and_(ASSET.c.event_id.in_(ids), ASSET.c.url.is_not(None))
    urls = set(connection.execute(select(ASSET.c.url).where(theirs)).scalars())
    if not urls:
        return (), ()
    # For files named by content alone. The URL is in no index, but this query is rare.
    others = and_(ASSET.c.url.in_(urls), ASSET.c.event_id.not_in(ids))
    shared = set(connection.execute(select(ASSET.c.url).where(others)).scalars())
    return tuple(sorted(urls - shared)), tuple(sorted(shared))
