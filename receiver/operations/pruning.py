"""Pruning: how long finished data is kept, and removing everything past that at once."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from receiver import clock
from receiver.store import Store
from receiver.store import retention as kept
from receiver.store.retention import WHAT, Batch, What, shrink_file

_MOST: Final = 100
"""Rows per transaction: on SQLite, accepting a delivery waits for it."""
_PAGES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Retention:
    """How long to keep finished data, and how fast to prune it."""

    keep_ms: Mapping[What, int] = field(default_factory=dict)
    """Milliseconds; kinds not in it are kept forever."""
    per_s: float = 500.0
    assets_ms: int | None = None
    """The same for files in the bucket; None keeps them forever."""

    def at(self, per_s: float | None) -> "Retention":
        """Return the same at another pace; None: at its own."""
        return self if per_s is None else replace(self, per_s=per_s)

    def batch(self, what: What, *, now_ms: int, rest_s: float = 0.0) -> Batch:
        """Return the next batch of *what*, after which its kind rests."""
        deliveries_ms = self.keep_ms.get("deliveries")
        return Batch(
            now_ms - self.keep_ms[what],
            now_ms,
            self.rows,
            int(rest_s * 1000),
            deliveries_before_ms=None if deliveries_ms is None else now_ms - deliveries_ms,
        )

    def assets(self, *, now_ms: int, rest_s: float = 0.0) -> Batch | None:
        """Return the next batch of files, after which they rest; None if files are kept."""
        if self.assets_ms is None:
            return None
        return Batch(now_ms - self.assets_ms, now_ms, self.rows, int(rest_s * 1000))

    @property
    def rows(self) -> int:
        """The number of rows in a batch."""
        return min(_MOST, max(int(self.per_s), 1))

    @property
    def rest_s(self) -> float:
        """Seconds from one batch to the next."""
        return self.rows / self.per_s


async def prune_all(
    store: Store,
    retention: Retention,
    *,
    dry_run: bool = False,
    waiting: Callable[[What], None] = lambda _what: None,
) -> dict[str, int]:
    """Remove everything past its retention, or count it; return the number of rows of each kind.

    *waiting* is called with what a worker is pruning, because its turn must end first.
    """
    counted: dict[str, int] = {
        what: await _prune_kind(store, retention, what, waiting, dry_run=dry_run)
        for what in WHAT
        if what in retention.keep_ms
    }
    if store.is_embedded and not dry_run:
        while await store.transact(shrink_file, _PAGES):
            pass
    counted["bodies"] = counted.get("bodies", 0) + counted.pop("retained", 0)
    return counted


async def _prune_kind(
    store: Store, retention: Retention, what: What, waiting: Callable[[What], None], *, dry_run: bool
) -> int:
    pruned, after = 0, await store.transact(kept.place, what) if dry_run else None
    while True:
        batch = replace(retention.batch(what, now_ms=clock.now_ms()), dry_run_after=after)
        done = await store.transact(kept.prune, what, batch)
        if done is None:
            waiting(what)
        else:
            pruned += done.pruned
            after = done.cursor if dry_run else None
            if not done.more:
                return pruned
        await asyncio.sleep(0 if dry_run else retention.rest_s)
