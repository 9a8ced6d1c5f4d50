"""Prunes: empties and deletes what is past its retention, a little at a time.

A file goes first, then its record in the store. If the process is killed in between, the file is deleted
again. In the other order, nobody would find it again.
"""

import asyncio
from typing import Final

import structlog

from receiver import clock
from receiver.assets.by_source import BucketsBySource
from receiver.errors import BucketUnavailable, StoreUnavailable
from receiver.operations.pruning import Retention
from receiver.store import Store
from receiver.store.old_assets import OldAsset, find_old_assets, note_deleted
from receiver.store.retention import WHAT, Batch, Pruned, What, end_turn, prune, shrink_file
from receiver.telemetry import metrics

EVERY_S: Final = 60.0

_PAGES: Final = 200

_AT_ONCE: Final = 8

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
                more |= await store.transact(shrink_file, _PAGES)
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
        metrics.PRUNED.labels(what).inc(done.pruned)
        log.debug("pruned", what=what, rows=done.pruned, needed=done.needed)
    return done is None or done.more


async def delete_old_assets(store: Store, buckets: BucketsBySource, batch: Batch) -> Pruned | None:
    """Delete one batch; None if another process is doing that, or just has.

    Raises:
        StoreUnavailable: the store failed.
        BucketUnavailable: a bucket failed, or refused us. Earlier deletions are recorded.
    """
    found = await store.transact(find_old_assets, batch)
    if found is None:
        return None
    room = asyncio.Semaphore(_AT_ONCE)

    async def delete(asset: OldAsset) -> bool:
        async with room:
            holding = buckets.holding(asset.url)
            if holding is not None:
                await holding[0].remove(holding[1])
            return holding is not None

    results = await asyncio.gather(*(delete(asset) for asset in found.assets), return_exceptions=True)
    gone = [asset for asset, result in zip(found.assets, results, strict=True) if result is True]
    failures = [result for result in results if isinstance(result, BaseException)]
    noted = await store.transact(note_deleted, gone)
    if noted:
        metrics.PRUNED.labels("assets").inc(noted)
        log.info("assets deleted", files=noted, needed=found.needed)
    if failures:
        raise _first(failures)
    due_ms = batch.now_ms + batch.rest_ms
    await store.transact(end_turn, "assets", found.cursor, due_ms)
    elsewhere = sum(result is False for result in results)
    return Pruned(noted, found.needed + elsewhere, found.cursor, found.more)


def _first(failures: list[BaseException]) -> BaseException:
    """Return the first bug among them, if any."""
    return next((one for one in failures if not isinstance(one, BucketUnavailable)), failures[0])
