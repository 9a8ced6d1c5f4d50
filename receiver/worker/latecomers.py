"""Destinations that were added after events had been settled."""

from collections.abc import Sequence

import structlog

from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.backfill import count_missed

log = structlog.get_logger()


async def offer_backfill(store: Store, destinations: Sequence[str]) -> None:
    """Report which *destinations* got none of the recently settled events, and the command for that."""
    for name in destinations:
        try:
            missed = await store.transact(count_missed, name)
        except StoreUnavailable:
            return  # Only advice, repeated at the next start.
        if missed:
            command = f"receiver destinations backfill {name} --dry-run"
            log.info("destination has missed events", destination=name, events=missed, to_see_them=command)
