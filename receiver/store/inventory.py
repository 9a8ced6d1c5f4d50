"""What the store says about assets, for an inventory of the bucket."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from receiver.contract import COMPLETED
from receiver.events import OUR_TYPES, Asset, first_id
from receiver.store.assets import ASSET_COLUMNS, IS_GIVEN_UP, asset_of
from receiver.store.tables import ASSET, EVENT


@dataclass(frozen=True, slots=True)
class Scope:
    """Which assets to check: by time of receipt and by source."""

    since_ms: int | None = None
    until_ms: int | None = None
    """Received before this."""
    source: str | None = None
    with_failed: bool = False
    """Also completions whose asset was given up."""


@dataclass(frozen=True, slots=True)
class KnownAsset:
    """An event's asset, according to the store."""

    event_id: str
    source: str
    generation_id: str
    body: bytes
    received_ms: int
    asset: Asset


def known_assets(connection: Connection, scope: Scope, *, after: str, limit: int) -> list[KnownAsset]:
    """Return up to *limit* assets whose event id is greater than *after*, in that order."""
    rows = connection.execute(
        select(
            ASSET.c.event_id,
            EVENT.c.source,
            EVENT.c.generation_id,
            EVENT.c.body,
            EVENT.c.received_ms,
            *ASSET_COLUMNS,
        )
        .join(EVENT, EVENT.c.id == ASSET.c.event_id)
        .where(_within(scope), ASSET.c.event_id > after)
        .order_by(ASSET.c.event_id)
        .limit(limit)
    )
    return [_known(row) for row in rows]


def count_assets(connection: Connection, scope: Scope) -> int:
    """Return how many assets are within *scope*."""
    found = select(func.count()).select_from(ASSET).join(EVENT, EVENT.c.id == ASSET.c.event_id)
    return int(connection.execute(found.where(_within(scope))).scalar_one())


def relocate(connection: Connection, known: KnownAsset, *, url: str) -> bool:
    """Record that *known* is now at *url*, for all events of its generation; False if it already moved."""
    generation = and_(EVENT.c.source == known.source, EVENT.c.generation_id == known.generation_id)
    ids = select(EVENT.c.id).where(generation)
    moved = update(ASSET).where(ASSET.c.event_id.in_(ids), ASSET.c.url == known.asset.url).values(url=url)
    return bool(connection.execute(moved).rowcount)


def _within(scope: Scope) -> ColumnElement[bool]:
    # A follow-up refers to the completion's file, which is counted there.
    mirrored = and_(ASSET.c.status == "mirrored", EVENT.c.type.not_in(sorted(OUR_TYPES)))
    failed = and_(IS_GIVEN_UP, EVENT.c.type == COMPLETED)
    wanted = [or_(mirrored, failed) if scope.with_failed else mirrored]
    if scope.source is not None:
        wanted.append(EVENT.c.source == scope.source)
    # Ids start with the time of receipt, so the primary key can find a time range.
    if scope.since_ms is not None:
        wanted.append(ASSET.c.event_id >= first_id(scope.since_ms))
    if scope.until_ms is not None:
        wanted.append(ASSET.c.event_id < first_id(scope.until_ms))
    return and_(*wanted)


def _known(row: Any) -> KnownAsset:
    return KnownAsset(
        event_id=row.event_id,
        source=row.source,
        generation_id=row.generation_id,
        body=row.body,
        received_ms=row.received_ms,
        asset=asset_of(row),
    )
