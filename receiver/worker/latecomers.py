"""Destinations that came when events had been settled already."""

from collections.abc import Sequence

import structlog

from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.backfill import count_missed

log = structlog.get_logger()


async def offer_backfill(store: Store, destinations: Sequence[str]) -> None:
    """Say which *destinations* got none of the events that were settled lately, and which command helps."""
    for name in destinations:
        try:
            missed = await store.transact(count_missed, name)
        except StoreUnavailable:
            return  # Only advice: it is given at the next start.
        if missed:
            command = f"receiver destinations backfill {name} --dry-run"
            log.info("destination has missed events", destination=name, events=missed, to_see_them=command)
