"""Prunes: empties and deletes what is past its retention, a little at a time."""

import asyncio
from typing import Final

import structlog

from receiver import clock
from receiver.assets.by_source import BucketsBySource
from receiver.errors import BucketUnavailable, StoreUnavailable
from receiver.operations.pruning import Retention
from receiver.store import Store
from receiver.store.retention import WHAT, Pruned, What, give_back, prune
from receiver.telemetry import metrics
from receiver.worker.deleting import delete_old_assets

EVERY_S: Final = 60.0

_PAGES: Final = 200

log = structlog.get_logger()


async def keep_pruning(
    store: Store, retention: Retention, buckets: BucketsBySource | None = None, *, every_s: float = EVERY_S
) -> None:
    """Prune what is due, repeatedly, until cancelled. A failing store or bucket is tried again later.

    Without *buckets*, no files are deleted.
    """
    while True:
        more = False
        try:
            for what in WHAT:
                if what in retention.keep_ms:
                    more |= await _prune(store, retention, what)
            if store.is_embedded and retention.keep_ms:
                more |= await store.transact(give_back, _PAGES)
            batch = retention.assets(now_ms=clock.now_ms(), rest_s=retention.rest_s)
            if buckets and batch:
                done = await delete_old_assets(store, buckets, batch)
                more |= done is None or done.more
        except (StoreUnavailable, BucketUnavailable) as error:
            log.warning("not pruned", error=str(error))
        await asyncio.sleep(retention.rest_s if more else every_s)


async def _prune(store: Store, retention: Retention, what: What) -> bool:
    """Prune one batch; return whether there is more."""
    batch = retention.batch(what, now_ms=clock.now_ms(), rest_s=retention.rest_s)
    done = await store.transact(prune, what, batch)
    if done is not None and done.pruned:
        _tell(what, done)
    return done is None or done.more


def _tell(what: What, done: Pruned) -> None:
    metrics.PRUNED.labels(what).inc(done.pruned)
    log.debug("pruned", what=what, rows=done.pruned, needed=done.needed)
