"""The duty of letting go: downloads of events that were settled elsewhere, or just before a crash."""

import asyncio
from typing import Final

import structlog

from receiver.assets.kept import KeptDownloads
from receiver.errors import StoreUnavailable
from receiver.store import Store

EVERY_S: Final = 3600.0

log = structlog.get_logger()


async def sweep_kept(store: Store, kept: KeptDownloads, *, every_s: float = EVERY_S) -> None:
    """Discard now, and again and again until cancelled, what no event waits for any more."""
    while True:
        try:
            event_ids = await kept.event_ids()
            awaited = await store.awaiting_asset(event_ids) if event_ids else set()
            await kept.discard_all(set(event_ids) - awaited)
        except (StoreUnavailable, OSError) as error:
            log.warning("kept downloads not swept", error=str(error))
        await asyncio.sleep(every_s)
