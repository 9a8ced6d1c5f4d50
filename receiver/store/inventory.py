"""What the store says about assets, for an inventory of the bucket."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from receiver.contract import COMPLETED
from receiver.events import OUR_TYPES, Asset
from receiver.store.assets import ASSET_COLUMNS, IS_GIVEN_UP, asset_of
from receiver.store.engine import read_as
from receiver.store.filters import Filter, arrived
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
    return [read_as(KnownAsset, row, asset=asset_of(row)) for row in rows]


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
    return and_(*wanted, *arrived(ASSET.c.event_id, Filter(since_ms=scope.since_ms, until_ms=scope.until_ms)))
