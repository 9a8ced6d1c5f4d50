"""The duty of pruning: emptying and deleting what is older than it is kept, a little at a time."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from receiver import clock
from receiver.assets.by_source import BucketsBySource
from receiver.errors import BucketUnavailable, StoreUnavailable
from receiver.store import Store
from receiver.store.retention import WHAT, Batch, Pruned, What, give_back, prune
from receiver.telemetry import metrics
from receiver.worker.deleting import delete_old_assets

EVERY_S: Final = 60.0

_MOST: Final = 100
"""Rows of one transaction: on SQLite, accepting a delivery waits for it."""
_PAGES: Final = 200

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retention:
    """How long to keep what is done with, and how fast to prune it."""

    keep_ms: Mapping[What, int] = field(default_factory=dict)
    """Milliseconds; what is not named is kept permanently."""
    per_s: float = 500.0
    assets_ms: int | None = None
    """The same for files in the bucket; None keeps them permanently."""

    def batch(self, what: What, *, now_ms: int, rest_s: float = 0.0) -> Batch:
        """Return the next batch of *what*, behind which its kind rests."""
        deliveries_ms = self.keep_ms.get("deliveries")
        return Batch(
            now_ms - self.keep_ms[what],
            now_ms,
            self.rows,
            int(rest_s * 1000),
            deliveries_before_ms=None if deliveries_ms is None else now_ms - deliveries_ms,
        )

    def assets(self, *, now_ms: int, rest_s: float = 0.0) -> Batch | None:
        """Return the next batch of files, behind which they rest; None where they are kept."""
        if self.assets_ms is None:
            return None
        return Batch(now_ms - self.assets_ms, now_ms, self.rows, int(rest_s * 1000))

    @property
    def rows(self) -> int:
        """Rows of one batch."""
        return min(_MOST, max(int(self.per_s), 1))

    @property
    def rest_s(self) -> float:
        """Seconds from one batch to the next."""
        return self.rows / self.per_s


async def keep_pruning(
    store: Store, retention: Retention, buckets: BucketsBySource | None = None, *, every_s: float = EVERY_S
) -> None:
    """Prune what is due, again and again until cancelled. A failing store or bucket is asked again later.

    Without *buckets*, files stay.
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
