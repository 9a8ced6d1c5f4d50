"""The duty of keeping: whose downloads are whose, and which of them no event waits for any more."""

import asyncio
from typing import Final

import structlog

from receiver import clock
from receiver.assets.kept import KeptDownloads
from receiver.errors import StoreUnavailable
from receiver.store import EventJob, EventKept, Store
from receiver.store.awaiting import awaiting_asset
from receiver.store.spools import recall, see_spool
from receiver.worker.leases import RENEWALS_PER_LEASE

EVERY_S: Final = 3600.0

_SEEN_EVERY_S: Final = 60.0
"""At least this often, however long leases are: who is silent for three minutes is shown as gone."""

log = structlog.get_logger()


async def note_kept(store: Store, spool: str, job: EventJob) -> None:
    """Write down that *spool* has the download of *job*. A failing store is no reason not to upload it."""
    try:
        await store.settle(EventKept(job, spool))
    except StoreUnavailable as error:
        log.warning("kept download not recorded", event_id=job.id, error=str(error))


def seen_every_s(lease_s: float) -> float:
    """Return how often a worker whose leases last *lease_s* says that it is there."""
    return min(lease_s / RENEWALS_PER_LEASE, _SEEN_EVERY_S)


async def stay_seen(store: Store, spool: str, *, every_s: float) -> None:
    """Say again and again, until cancelled, that *spool* has a worker."""
    while True:
        try:
            await store.transact_promptly(see_spool, spool, now_ms=clock.now_ms())
        except StoreUnavailable as error:
            log.warning("spool folder not recorded", error=str(error))
        await asyncio.sleep(every_s)


async def sweep_kept(store: Store, kept: KeptDownloads, *, every_s: float = EVERY_S) -> None:
    """Discard now, and again and again until cancelled, what no event waits for any more.

    What an event waits for is noted as ours and due, whatever others made of it while we were away.
    """
    while True:
        try:
            event_ids = await kept.event_ids()
            awaited = await store.transact_promptly(awaiting_asset, event_ids) if event_ids else set()
            await kept.discard_all(set(event_ids) - awaited)
            if awaited:
                await store.transact_promptly(
                    recall, sorted(awaited), spool=kept.spool, now_ms=clock.now_ms()
                )
        except (StoreUnavailable, OSError) as error:
            log.warning("kept downloads not swept", error=str(error))
        await asyncio.sleep(every_s)
