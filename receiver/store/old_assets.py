"""Finds files in the bucket that are past their retention, and records their deletion.

A file goes once all events of its generation that name it are old enough, and none of their deliveries is
pending or dead. Its name must contain the id of its generation or event, because other events could share the
file.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, select, tuple_, update

from receiver.store.assets import DELETED
from receiver.store.rates import IS_MIRRORED
from receiver.store.removals import is_its_own
from receiver.store.retention import Batch, end_turn, take_place
from receiver.store.tables import ASSET, DEAD, DELIVERY, EVENT, PENDING

_AGAIN: Final = "assets_again"
_LOOK_AGAIN_MS: Final = 24 * 3600 * 1000
_LEASE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class OldAsset:
    """One file, and the events that name it."""

    url: str
    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OldAssets:
    """One batch of files."""

    assets: Sequence[OldAsset]
    needed: int
    """Events whose file is old enough, and stays."""
    cursor: str
    more: bool


def find_old_assets(connection: Connection, batch: Batch) -> OldAssets | None:
    """Find the next files to delete; None if another process is doing that, or just has.

    Files still needed are skipped, and checked again a day later.
    """
    after = batch.dry_run_after
    if after is None:
        after = take_place(connection, "assets", batch.now_ms)
        if after is None:
            return None
        end_turn(connection, "assets", after, batch.now_ms + _LEASE_MS)
        if take_place(connection, _AGAIN, batch.now_ms) is not None:
            end_turn(connection, _AGAIN, "", batch.now_ms + _LOOK_AGAIN_MS)
            after = ""
    rows = _oldest(connection, batch, after)
    mirrored = _tellers(connection, {(row.source, row.generation_id) for row in rows})
    busy = _busy(connection, {teller.event_id for tellers in mirrored.values() for teller in tellers})
    found: dict[str, OldAsset] = {}
    for row in rows:
        tellers = [one for one in mirrored[row.source, row.generation_id] if one.url == row.url]
        ids = tuple(one.event_id for one in tellers)
        young = any(one.settled_ms >= batch.before_ms for one in tellers)
        if not (young or busy.intersection(ids)) and is_its_own(row.url, {row.generation_id, *ids}):
            found[row.url] = OldAsset(row.url, ids)
    needed = sum(row.url not in found for row in rows)
    last = rows[-1].event_id if rows else after
    return OldAssets(list(found.values()), needed, last, len(rows) == batch.limit)


def note_deleted(connection: Connection, assets: Collection[OldAsset]) -> int:
    """Record that these files were deleted; return how many were."""
    noted = 0
    for asset in assets:
        these = and_(ASSET.c.event_id.in_(asset.event_ids), ASSET.c.url == asset.url)
        gone = {"status": "failed", "url": None, "error": DELETED}
        noted += bool(connection.execute(update(ASSET).where(these).values(gone)).rowcount)
    return noted


def deleted_among(connection: Connection, ids: Collection[str]) -> list[str]:
    """Return which of the events *ids* have had their files deleted."""
    gone = select(ASSET.c.event_id).where(ASSET.c.event_id.in_(ids), ASSET.c.error == DELETED)
    return list(connection.execute(gone.order_by(ASSET.c.event_id)).scalars())


def _oldest(connection: Connection, batch: Batch, after: str) -> Sequence[Any]:
    """Return mirrored assets after the event *after*, first settled first."""
    order = (ASSET.c.settled_ms, ASSET.c.event_id)
    old = [IS_MIRRORED, ASSET.c.settled_ms < batch.before_ms]
    passed = connection.execute(select(ASSET.c.settled_ms).where(ASSET.c.event_id == after)).scalar()
    if passed is not None:
        old += [ASSET.c.settled_ms >= passed, tuple_(*order) > (passed, after)]
    found = (
        select(ASSET.c.event_id, ASSET.c.url, EVENT.c.source, EVENT.c.generation_id)
        .join(EVENT, EVENT.c.id == ASSET.c.event_id)
        .where(*old)
        .order_by(*order)
        .limit(batch.limit)
    )
    return connection.execute(found).all()


def _tellers(connection: Connection, generations: Collection[tuple[str, str]]) -> dict[Any, list[Any]]:
    """Return the mirrored assets of *generations*. A follow-up has its completion's file."""
    key = (EVENT.c.source, EVENT.c.generation_id)
    found = (
        select(*key, ASSET.c.event_id, ASSET.c.url, ASSET.c.settled_ms)
        .join(ASSET, ASSET.c.event_id == EVENT.c.id)
        .where(tuple_(*key).in_(sorted(generations)), IS_MIRRORED)
    )
    mirrored: dict[Any, list[Any]] = defaultdict(list)
    for row in connection.execute(found):
        mirrored[row.source, row.generation_id].append(row)
    return mirrored


def _busy(connection: Connection, ids: Collection[str]) -> set[str]:
    waiting = and_(DELIVERY.c.event_id.in_(ids), DELIVERY.c.state.in_((PENDING, DEAD)))
    return set(connection.execute(select(DELIVERY.c.event_id).where(waiting)).scalars())
