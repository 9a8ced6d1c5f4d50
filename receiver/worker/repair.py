"""Mirrors again what the bucket lost or what was given up, while the source still has it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from receiver.assets import Bucket, Fetched, NotFetched
from receiver.assets.object_keys import beside
from receiver.errors import BucketUnavailable
from receiver.events import Event, normalize
from receiver.mirror import object_metadata
from receiver.store import Store
from receiver.store.inventory import KnownAsset, relocate
from receiver.store.jobs import LateJob
from receiver.store.late import LateArrived, LateGivenUp, LatePostponed, LateSettlement, take_failed
from receiver.worker.leases import Leases

Lost = Literal["missing", "wrong_size", "wrong_checksum"]


@dataclass(frozen=True, slots=True)
class Repaired:
    """The asset is in the bucket, with the bytes that were announced."""

    url: str
    follow_up: str | None = None
    """The id of the event that reports it, if the asset had been given up."""


@dataclass(frozen=True, slots=True)
class OtherBytes:
    """The source returned a different file than announced. It is kept at *url*; the asset stays as it was."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class NotRepaired:
    """The repair failed."""

    reason: str
    """A code of `receiver.assets.response`, or a line for an operator."""


Repair = Repaired | OtherBytes | NotRepaired


class Repairer:
    """Fetches through the same gates as the worker, and overwrites nothing."""

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        leases: Leases,
        *,
        fetch: Callable[[Event], Awaitable[Fetched | NotFetched]],
        mirror_late: Callable[[LateJob], Awaitable[LateSettlement]],
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._leases = leases
        self._fetch = fetch
        self._mirror_late = mirror_late

    async def restore(self, known: KnownAsset, key: str, problem: Lost) -> Repair:
        """Restore the announced bytes: under *key* if nothing is there, otherwise next to it."""
        event = normalize(known.body, source=known.source)
        if not isinstance(event, Event):
            return NotRepaired(event.reason)
        fetched = await self._fetch(event)
        if isinstance(fetched, NotFetched):
            return NotRepaired(fetched.code)
        try:
            same = fetched.sha256 == known.asset.sha256
            if not same or problem != "missing":
                key = beside(key, fetched.sha256)
            stored = await self._bucket.put(key, fetched, metadata=object_metadata(known.event_id, event))
            if not same:
                return OtherBytes(stored.url, fetched.sha256)
            if stored.url != known.asset.url:
                await self._store.transact(relocate, known, url=stored.url)
            return Repaired(stored.url)
        except BucketUnavailable as error:
            return NotRepaired(str(error))
        finally:
            fetched.discard()

    async def try_again(self, known: KnownAsset) -> Repair:
        """Mirror an asset that was given up, and report it as a worker would."""
        with self._leases.claim(1) as claim:
            job = await self._store.transact_promptly(take_failed, claim, event_id=known.event_id)
            if job is None:
                return NotRepaired("a worker is trying for it")
            result = await self._mirror_late(job)
            held = await self._store.settle(result)
        match result:
            case LateArrived(asset=asset, event=told) if held and asset.url:
                return Repaired(asset.url, told.id)
            case LateArrived():
                return NotRepaired("a worker is trying for it")
            case LatePostponed(error=error) | LateGivenUp(error=error):
                return NotRepaired(error)
