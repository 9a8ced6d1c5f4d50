"""Shows other processes which buckets and asset hosts are down. Nothing waits for it."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Final

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.outages import ASSET_HOST, BUCKET, STALE_MS, Place, note_outages
from receiver.telemetry.redact import redact
from receiver.worker.bucket_gates import BucketGates
from receiver.worker.host_gates import HostGates

_AGAIN_S: Final = STALE_MS / 1000 / 6


class OutageNotes:
    """Records in *store* what the gates know is down: each change, and now and then that it lasts."""

    def __init__(self, store: Store, buckets: BucketGates, hosts: HostGates, *, every_s: float) -> None:
        self._store = store
        self._gates: dict[str, BucketGates | HostGates] = {BUCKET: buckets, ASSET_HOST: hosts}
        self._every_s = every_s
        self._noted: frozenset[Place] = frozenset()
        self._noted_at = 0.0

    async def run(self) -> None:
        """Check and record until cancelled. It is for people, so a failing store does not matter."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                await self.turn()
            await asyncio.sleep(self._every_s)

    async def turn(self) -> None:
        """Check once, and record what has changed."""
        down = self._down()
        is_due = bool(down) and time.monotonic() > self._noted_at + _AGAIN_S
        if is_due or down.keys() != self._noted:
            await self._note(down)

    async def leave(self) -> None:
        """Delete what this worker recorded; others who still find it down will record it again."""
        if self._noted:
            with contextlib.suppress(StoreUnavailable):
                await self._note({})

    def _down(self) -> Mapping[Place, str]:
        return {
            (kind, name): redact(gate.error)
            for kind, gates in self._gates.items()
            for name, gate in gates.gates.items()
            if gate.is_found_down
        }

    async def _note(self, down: Mapping[Place, str]) -> None:
        over = self._noted - down.keys()
        await self._store.transact_promptly(note_outages, down, over=over, now_ms=clock.now_ms())
        self._noted, self._noted_at = frozenset(down), time.monotonic()
