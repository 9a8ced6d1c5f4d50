"""Keeps track of downloads: which worker has which, and which ones no event needs any more."""

import asyncio
import contextlib
import os
import socket
from typing import Final

import structlog

from receiver import clock
from receiver.assets.kept import KeptDownloads
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.jobs import EventJob
from receiver.store.settlements import EventKept
from receiver.store.spools import (
    REPORTS,
    Process,
    awaiting_asset,
    gone_after_s,
    recall,
    see_spool,
    sign_off,
)

EVERY_S: Final = 3600.0
_MOST_CHARS: Final = 255

log = structlog.get_logger()


async def note_kept(store: Store, spool: str, job: EventJob) -> None:
    """Record that *spool* has the download of *job*. If the store fails, upload anyway."""
    try:
        await store.settle(EventKept(job, spool))
    except StoreUnavailable as error:
        log.warning("kept download not recorded", event_id=job.id, error=str(error))


def seen_every_s(lease_s: float) -> float:
    """Return how often a worker with leases of *lease_s* reports that it is alive."""
    return gone_after_s(lease_s) / REPORTS


async def stay_seen(store: Store, spool: str, *, every_s: float) -> None:
    """Report repeatedly, until cancelled, that *spool* has a worker."""
    while True:
        try:
            await store.transact_promptly(see_spool, spool, now_ms=clock.now_ms(), process=_process())
        except StoreUnavailable as error:
            log.warning("spool folder not recorded", error=str(error))
        await asyncio.sleep(every_s)


async def stop_being_seen(store: Store, spool: str) -> None:
    """Report that the worker of *spool* stops. If the store fails, it counts as gone after a while."""
    with contextlib.suppress(StoreUnavailable):
        await store.transact_promptly(sign_off, spool, now_ms=clock.now_ms(), process=_process())


def _process() -> Process:
    return Process(socket.gethostname()[:_MOST_CHARS], os.getpid())


async def sweep_kept(store: Store, kept: KeptDownloads, *, every_s: float = EVERY_S) -> None:
    """Discard downloads that no event needs, now and repeatedly, until cancelled.

    Downloads that are needed are recorded as ours and their events made due, whatever others did while we
    were away.
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
