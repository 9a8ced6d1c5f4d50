"""The loop of every duty, what wakes it, and the smallest duty: settling events that have no asset."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import structlog

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.agenda import Agenda
from receiver.telemetry import logs
from receiver.worker.leases import Leases
from receiver.worker.mirroring import Mirror, mirror_and_settle

_PAUSE_S: Final = 2.0
"""How long a duty rests after the store failed."""

_FEWEST: Final = 8
"""The fewest events to reserve places for, however few there were before."""
_MOST: Final = 500

log = structlog.get_logger()


async def work_until(
    stop: asyncio.Event,
    turn: Callable[[], Awaitable[bool]],
    *,
    woken: asyncio.Event,
    poll_s: float | None = None,
) -> None:
    """Repeat *turn* until *stop*; after a turn without work wait for *woken*, or *poll_s* if given.

    Set *woken* whenever you set *stop*. A store failure does not end the loop: it tries again after a pause.
    """
    while not stop.is_set():
        woken.clear()
        try:
            found_work = await turn()
        except StoreUnavailable as error:
            log.warning("store unavailable", error=str(error), retry_in_s=_PAUSE_S)
            await _sleep(stop, _PAUSE_S)
        else:
            if not found_work:
                await _sleep(woken, poll_s)


async def _sleep(unless: asyncio.Event, seconds: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await unless.wait()


class Lookout:
    """Finds work that no signal announced, in one query for all duties, and wakes them.

    Such are retries, and work from other processes or dead workers.
    """

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


class Settling:
    """Settles due events without an asset, as many at once as there seem to be. Nothing slow delays them."""

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
