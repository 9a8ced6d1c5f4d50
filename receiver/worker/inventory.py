"""Compares the assets that the store says were mirrored with the contents of the bucket."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from receiver.assets import Held, ReadableBucket
from receiver.assets.by_source import BucketsBySource
from receiver.errors import BucketUnavailable
from receiver.events import Asset
from receiver.store import Store
from receiver.store.inventory import KnownAsset, Scope, known_assets
from receiver.worker.repair import Lost, Repair, Repaired, Repairer

Problem = Literal["missing", "wrong_size", "wrong_checksum", "elsewhere", "unavailable", "failed"]
PROBLEMS: Final[tuple[Problem, ...]] = get_args(Problem)

_PAGE_SIZE: Final = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """An asset that is not as the store says, or was given up."""

    known: KnownAsset
    problem: Problem
    detail: str | None = None
    """What was found instead, if it can be said in a word."""
    repair: Repair | None = None
    """The result of repairing it; None if that was not requested."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Checks assets page by page, several at once."""

    store: Store
    buckets: BucketsBySource
    deep: bool = False
    """Read every object and compute its checksum, instead of trusting the bucket's metadata."""
    repairer: Repairer | None = None
    at_once: int = 8

    async def take(
        self, scope: Scope, *, report: Callable[[Finding], None], tick: Callable[[], None]
    ) -> Counter[str]:
        """Check everything in *scope*; count what was `checked`, `ok`, `repaired`, and each problem.

        *report* gets each finding at once. *tick* is called after each asset.
        """
        tally: Counter[str] = Counter()
        room = asyncio.Semaphore(self.at_once)

        async def look(known: KnownAsset) -> None:
            async with room:
                finding = await self._examine(known)
            tally.update(_words(finding))
            if finding is not None:
                report(finding)
            tick()

        after = ""
        while page := await self.store.transact(known_assets, scope, after=after, limit=_PAGE_SIZE):
            await asyncio.gather(*(look(known) for known in page))
            after = page[-1].event_id
        return tally

    async def _examine(self, known: KnownAsset) -> Finding | None:
        if known.asset.status == "failed":
            repair = await self.repairer.try_again(known) if self.repairer else None
            return Finding(known, "failed", known.asset.error, repair)
        holding = self.buckets.holding(known.asset.url or "")
        if holding is None:
            return Finding(known, "elsewhere")
        bucket, key = holding
        try:
            held = await self._held(bucket, key, known.asset)
        except BucketUnavailable as error:
            return Finding(known, "unavailable", str(error))
        problem = compare(known.asset, held)
        if problem is None:
            return None
        repair = await self.repairer.restore(known, key, problem) if self.repairer else None
        return Finding(known, problem, _difference(problem, held), repair)

    async def _held(self, bucket: ReadableBucket, key: str, asset: Asset) -> Held | None:
        held = await bucket.look(key)
        if self.deep and compare(asset, held) is None:
            return await bucket.read(key)
        return held


def compare(asset: Asset, held: Held | None) -> Lost | None:
    """Return how what is *held* differs from what was announced; None if it does not, as far as is known."""
    if held is None:
        return "missing"
    if held.size_bytes != asset.size_bytes:
        return "wrong_size"
    return None if held.sha256 in (None, asset.sha256) else "wrong_checksum"


def _difference(problem: Problem, held: Held | None) -> str | None:
    if held is None:
        return None
    return f"{held.size_bytes} bytes" if problem == "wrong_size" else f"sha256 {held.sha256 or 'unknown'}"


def _words(finding: Finding | None) -> tuple[str, ...]:
    if finding is None:
        return "checked", "ok"
    repaired = ("repaired",) if isinstance(finding.repair, Repaired) else ()
    return "checked", finding.problem, *repaired
