"""The progress of events, for people to watch."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from receiver.store.tables import ASSET, DELIVERED, DELIVERY, EVENT


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of one event. Times are milliseconds since the epoch, None for what has not happened."""

    event_id: str
    generation_id: str
    type: str
    received_ms: int
    repeats: int
    """How often it was delivered again."""
    asset_status: str | None
    """None before it is settled, and for an event without an asset."""
    asset_url: str | None
    asset_settled_ms: int | None
    delivered: int
    """How many destinations have confirmed it."""
    delivered_ms: int | None
    """When the last of them did."""


def progress(connection: Connection, generation_ids: Collection[str]) -> list[Progress]:
    """Look up the events of these generations, oldest first."""
    done = DELIVERY.c.state == DELIVERED
    rows = connection.execute(
        select(
            EVENT.c.id,
            EVENT.c.generation_id,
            EVENT.c.type,
            EVENT.c.received_ms,
            EVENT.c.repeats,
            ASSET.c.status,
            ASSET.c.url,
            ASSET.c.settled_ms,
            func.count(DELIVERY.c.event_id),
            func.max(DELIVERY.c.settled_ms),
        )
        .outerjoin(ASSET, ASSET.c.event_id == EVENT.c.id)
        .outerjoin(DELIVERY, (DELIVERY.c.event_id == EVENT.c.id) & done)
        .where(EVENT.c.generation_id.in_(generation_ids))
        .group_by(EVENT.c.id, ASSET.c.event_id)
        .order_by(EVENT.c.id)
    )
    return [Progress(*row) for row in rows]
