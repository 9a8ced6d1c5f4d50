"""Looks for work that no signal announced, in one query for all duties."""

import asyncio
from collections import defaultdict
from collections.abc import Collection

from receiver import clock
from receiver.store import Store
from receiver.store.agenda import Agenda


class Lookout:
    """Wakes duties whose queue has due work: retries, and work from other processes or dead workers."""

    def __init__(self, store: Store, destinations: Collection[str]) -> None:
        self._store = store
        self._agenda = Agenda(destinations)
        self._woken: defaultdict[str, list[asyncio.Event]] = defaultdict(list)

    def subscribe(self, topic: str, queue: str) -> asyncio.Event:
        """Return an event that is set at each signal on *topic*, and whenever *queue* is found due."""
        woken = self._store.wake.subscribe(topic)
        self._woken[queue].append(woken)
        return woken

    async def turn(self) -> bool:
        """Look once. There is never a reason to look again at once."""
        for queue in await self._store.look(self._agenda.due, now_ms=clock.now_ms()):
            for woken in self._woken[queue]:
                woken.set()
        return False
