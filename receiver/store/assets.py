"""Maps the table of settled assets to `Asset`. Each column is named after its field."""

from dataclasses import fields
from typing import Any, Final

from sqlalchemy import Connection, and_, func, select

from receiver.events import Asset
from receiver.store.tables import ASSET

_NAMES: Final = tuple(field.name for field in fields(Asset))
ASSET_COLUMNS: Final = tuple(ASSET.c[name] for name in _NAMES)
"""The columns that `asset_of` reads."""
DELETED: Final = "deleted"
"""The `error` of an asset whose file was deleted for its age: it is not fetched again."""
IS_GIVEN_UP: Final = and_(ASSET.c.status == "failed", ASSET.c.error.is_distinct_from(DELETED))
"""Never mirrored."""


def asset_of(row: Any) -> Asset:
    """Return the asset from the `ASSET_COLUMNS` of *row*."""
    return Asset(**{name: getattr(row, name) for name in _NAMES})


def asset_if_any(row: Any) -> Asset | None:
    """Do the same for an outer join, where an event without an asset has no `status`."""
    return asset_of(row) if row.status else None


def asset_row(event_id: str, asset: Asset, *, settled_ms: int) -> dict[str, Any]:
    """Return the row of an event's *asset*."""
    return {"event_id": event_id, **{name: getattr(asset, name) for name in _NAMES}, "settled_ms": settled_ms}


def has_assets_below(connection: Connection, prefix: str) -> bool:
    """Return whether an asset was mirrored to a URL that begins with *prefix*. The URL is in no index."""
    is_below = func.substr(ASSET.c.url, 1, len(prefix)) == prefix
    one = select(ASSET.c.event_id).where(ASSET.c.status == "mirrored", is_below).limit(1)
    return connection.execute(one).first() is not None
