"""Long polls: those who wait for a message are woken when one is due, by one look for all of them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.agenda import Agenda, deliveries_to
from receiver.store.wake import FORWARD


class Bell:
    """Rings for destinations that have something due. Looks at nothing while nobody waits."""

    def __init__(self, store: Store, destinations: Collection[str], *, poll_s: float) -> None:
        """Look at each signal of work, and every *poll_s* seconds for what no signal announced."""
        self._store = store
        self._agenda = Agenda(destinations)
        self._poll_s = poll_s
        self._woken = store.wake.subscribe(FORWARD)
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._somebody_waits = asyncio.Event()
        self.is_stopped = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def waits_for(self, destination: str) -> AsyncIterator[asyncio.Event]:
        """Offer an event that is set whenever *destination* may have something, and at the end."""
        rung, waiting = asyncio.Event(), self._waiting[destination]
        waiting.add(rung)
        self._somebody_waits.set()
        try:
            yield rung
        finally:
            waiting.discard(rung)

    def stop(self) -> None:
        """Send everybody away who waits, and let nobody wait any more."""
        self.is_stopped = True
        self._ring(list(self._waiting))

    async def run(self) -> None:
        """Look and ring, until cancelled."""
        while True:
            if not self.waiting:
                self._somebody_waits.clear()
                await self._somebody_waits.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._woken.wait()
            self._woken.clear()
            # A waiter finds out about a store that fails by asking it.
            due = list(self._waiting)
            with suppress(StoreUnavailable):
                queues = await self._store.look(self._agenda.due, now_ms=clock.now_ms())
                due = [name for name in due if deliveries_to(name) in queues]
            self._ring(due)

    def _ring(self, destinations: Collection[str]) -> None:
        for name in destinations:
            for rung in self._waiting[name]:
                rung.set()
