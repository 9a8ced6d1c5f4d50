"""The duty of looking for work that no signal announced: one look for all duties."""

import asyncio
from collections import defaultdict
from collections.abc import Collection

from receiver import clock
from receiver.store import Store
from receiver.store.agenda import Agenda


class Lookout:
    """Wakes the duties whose queue has something due: retries, and what other processes or the dead left."""

    def __init__(self, store: Store, destinations: Collection[str]) -> None:
        self._store = store
        self._agenda = Agenda(destinations)
        self._woken: defaultdict[str, list[asyncio.Event]] = defaultdict(list)

    def subscribe(self, topic: str, queue: str) -> asyncio.Event:
        """Return an event that is set at each signal on *topic*, and by each look that finds *queue* due."""
        woken = self._store.wake.subscribe(topic)
        self._woken[queue].append(woken)
        return woken

    async def turn(self) -> bool:
        """Look once; there is never a reason to look again at once."""
        for queue in await self._store.look(self._agenda.due, now_ms=clock.now_ms()):
            for woken in self._woken[queue]:
                woken.set()
        return False
