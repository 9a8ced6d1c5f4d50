"""Settles events that have no asset. Nothing slow ever delays them."""

import asyncio
from typing import Final

from receiver.store import Store
from receiver.telemetry import logs
from receiver.worker.leases import Leases
from receiver.worker.mirroring import Mirror, mirror_and_settle

_FEWEST: Final = 8
"""The fewest events to reserve places for, however few there were before."""
_MOST: Final = 500


class Settling:
    """Settles due events without an asset, as many at once as there seem to be."""

    def __init__(self, store: Store, leases: Leases, mirror: Mirror) -> None:
        self._store = store
        self._leases = leases
        self._mirror = mirror
        self._limit = _FEWEST

    async def turn(self) -> bool:
        """Settle what is due; return whether there may be more."""
        with self._leases.claim(self._limit) as claim:
            due = await self._store.settle_due(claim)
            for job in due.settled:
                logs.info("no asset", event_id=job.id, generation_id=job.generation_id)
            await asyncio.gather(*(mirror_and_settle(self._leases, self._mirror, job) for job in due.claimed))
        found = len(due.settled) + len(due.claimed)
        is_behind = found == self._limit
        self._limit = _MOST if is_behind else max(_FEWEST, min(2 * found, _MOST))
        return is_behind
