"""Erases a generation's personal data from the store, the bucket and this machine's disk."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from receiver import clock
from receiver.assets.by_source import BucketsBySource
from receiver.assets.kept import KeptDownloads
from receiver.operations import schemas
from receiver.operations.audit import new_deed
from receiver.operations.records import record
from receiver.store import Store, erasure
from receiver.store.erasure import Generation, Traces
from receiver.store.filters import to_text
from receiver.store.removals import announce, end_removal, is_its_own

ERASED: Final = ("erased", "would be erased")
_UNKNOWN: Final = "unknown"
_CLAIMED: Final = "a worker is busy with it; repeat the command"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to erase, and who asked for it."""

    who: str
    with_assets: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Erasing:
    """Erases generations."""

    store: Store
    buckets: BucketsBySource
    open_kept: Callable[[], KeptDownloads]
    sources: Sequence[str]
    """The sources to search if none is given."""

    async def erase(
        self, generation_ids: Sequence[str], source: str | None, wish: Wish
    ) -> list[schemas.Erased]:
        """Erase each; return a row per source that knows it, or one that says that none does."""
        rows: list[schemas.Erased] = []
        for id_ in generation_ids:
            found = [
                await self._erase(Generation(name, id_), wish)
                for name in ([source] if source else self.sources)
            ]
            rows += [row for row in found if row["outcome"] != _UNKNOWN] or found[:1]
        return rows

    async def _erase(self, generation: Generation, wish: Wish) -> schemas.Erased:
        traces = await self.store.transact(erasure.find_traces, generation, now_ms=clock.now_ms())
        if wish.dry_run or traces.is_claimed or traces.is_empty:
            return _row(generation, traces, wish, "would be erased")
        # Files first: once the store has forgotten them, nobody could find them again.
        urls, ids = traces.asset_urls, (*traces.event_ids, generation.id)
        shareable = [url for url in urls if not is_its_own(url, ids)] if wish.with_assets else []
        if shareable and not await self.store.transact(announce, shareable, now_ms=clock.now_ms()):
            return _row(generation, replace(traces, is_claimed=True), wish, "erased")
        if wish.with_assets:
            await self._remove(generation, urls)
        on = {"source": generation.source, "generation_id": generation.id, "asset": wish.with_assets}
        deed = new_deed(wish.who, "erase", to_text(on))
        traces = await self.store.transact(erasure.erase, generation, deed, with_assets=wish.with_assets)
        if shareable:
            await self.store.transact(end_removal, shareable)
        if not traces.is_claimed:
            await self.open_kept().discard_all(traces.event_ids)
        return _row(generation, traces, wish, "erased")

    async def _remove(self, generation: Generation, urls: Collection[str]) -> None:
        """Remove those of *urls* that only *generation* has: others may have been added meanwhile."""
        again = await self.store.transact(erasure.find_traces, generation, now_ms=clock.now_ms())
        for url in again.asset_urls:
            if url in urls and (holding := self.buckets.holding(url)):
                await holding[0].remove(holding[1])


def _row(generation: Generation, traces: Traces, wish: Wish, done: str) -> schemas.Erased:
    outcome = _UNKNOWN if traces.is_empty else _CLAIMED if traces.is_claimed else done
    return record(
        schemas.Erased,
        traces,
        generation_id=generation.id,
        source=generation.source,
        outcome=outcome,
        assets=len(traces.asset_urls) if wish.with_assets else 0,
        shared_assets=list(traces.shared_urls),
    )
