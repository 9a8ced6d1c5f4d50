"""Forwards deliveries: one duty per destination, so that none waits for another."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from receiver.deliver import ForwardResult, report
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.claim import claim_deliveries
from receiver.store.destinations import note_breaker
from receiver.store.jobs import DeliveryJob, Hold
from receiver.store.settlements import DeliveryDead, DeliveryPostponed
from receiver.telemetry import metrics
from receiver.worker.breaker import Breaker
from receiver.worker.leases import Leases
from receiver.worker.rate import TokenBucket

Forward = Callable[[Sequence[DeliveryJob]], Awaitable[list[ForwardResult]]]

log = structlog.get_logger()

_SETTLING: Final = 1_000
"""The most messages sent but not settled: settling waits for others to join."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """A destination, as the worker sees it."""

    name: str
    max_batch: int
    forward: Forward
    concurrency: int = 1
    """Batches in flight at once."""
    rate: TokenBucket | None = None
    breaker: Breaker | None = None
    """The breaker that `forward` consults."""


class Forwarding:
    """Forwards the due deliveries of one destination, as many at once as it allows.

    Claimed or handed-over deliveries queue ahead of the sending. A slow message holds up no other, and a
    sender never waits for a claim.
    """

    def __init__(
        self, store: Store, leases: Leases, outlet: Outlet, *, woken: asyncio.Event | None = None
    ) -> None:
        """*woken* is set whenever another turn could find work."""
        self._store = store
        self._leases = leases
        self._outlet = outlet
        self._woken = woken or asyncio.Event()
        self._window = outlet.max_batch * outlet.concurrency
        self._alarm: asyncio.TimerHandle | None = None
        self._queue: deque[DeliveryJob] = deque()
        self._reserved = 0
        self._sending = 0
        self._unsettled = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_behind = True
        """Whether older deliveries may wait to be claimed."""
        self._is_ending = False
        metrics.BREAKER_OPEN.labels(outlet.name).set(0)
        self._told_openings: int | None = None
        """None until this worker has recorded a state: until then the store has that of an earlier worker."""

    async def turn(self) -> bool:
        """Claim as much as there is room for and start sending it; return whether there was any."""
        limit = self._limit()
        if limit == 0:
            self._is_behind = True
            return False
        with self._leases.claim(limit) as claim:
            jobs = await self._store.claim(claim_deliveries, claim, destination=self._outlet.name)
            self._is_behind = len(jobs) == limit
            if self._outlet.rate:
                self._outlet.rate.put_back(limit - len(jobs))
            self._add(jobs)
        self._send()
        return bool(jobs)

    def reserve(self) -> Hold | None:
        """Reserve a place for a new delivery, unless older ones are waiting or it had to wait itself."""
        breaker = self._outlet.breaker
        if self._is_behind or self._is_ending or self._outlet.rate or (breaker and breaker.openings):
            return None
        if len(self._queue) + self._reserved >= self._window:
            return None
        self._reserved += 1
        return self._leases.offer()

    def take(self, job: DeliveryJob) -> None:
        """Send a delivery that has a place, along with others from this turn of the loop."""
        self._reserved -= 1
        self._add([job])
        if self._is_ending:
            self._leave_queue()
        elif len(self._queue) == 1:
            asyncio.get_running_loop().call_soon(self._send)

    def free(self) -> None:
        """Free a place."""
        self._reserved -= 1

    async def drain(self) -> None:
        """Wait for what is in flight, and give back the rest."""
        self._is_ending = True
        self._leave_queue()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def abandon(self) -> None:
        """Cancel what is still in flight, so that its leases are given back."""
        self._is_ending = True
        self._leave_queue()
        if self._alarm:
            self._alarm.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _limit(self) -> int:
        """Return how many messages to claim now; if none, make sure to be woken in time."""
        breaker, rate = self._outlet.breaker, self._outlet.rate
        ahead = len(self._queue) + self._reserved
        # Sent messages are settled a little later. Claim at least half a window.
        limit = min(
            self._window - ahead, self._window + max(self._window, _SETTLING) - ahead - self._unsettled
        )
        if ahead > self._window // 2:
            limit = 0
        if breaker and breaker.openings:
            if self._tasks or ahead:
                return 0
            if breaker.wait_s() > 0:
                self._wake_in(breaker.wait_s())
                return 0
            limit = 1
        if rate and limit:
            limit = rate.take(limit)
            if limit == 0:
                self._wake_in(rate.wait_s())
        return max(limit, 0)

    def _wake_in(self, seconds: float) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._send()
        self._woken.set()

    def _add(self, jobs: Sequence[DeliveryJob]) -> None:
        for job in jobs:
            self._leases.hold(job.lease)
            self._queue.append(job)
            self._unsettled += 1

    def _leave_queue(self) -> None:
        """Give back what has not been started."""
        while self._queue:
            self._leases.leave(self._queue[0].lease)
            self._forget(self._queue.popleft())

    def _forget(self, job: DeliveryJob) -> None:
        self._leases.let_go(job.lease)
        self._unsettled -= 1

    def _send(self) -> None:
        """Start sending as many batches as may be in flight."""
        while self._queue and self._sending < self._outlet.concurrency and not self._is_ending:
            size, breaker = self._outlet.max_batch, self._outlet.breaker
            if breaker and breaker.openings and not (size := self._probe_size(breaker)):
                return
            jobs = [self._queue.popleft() for _ in range(min(size, len(self._queue)))]
            self._sending += 1
            task = asyncio.create_task(self._finish(jobs))
            self._tasks.add(task)
            task.add_done_callback(self._finished)

    def _probe_size(self, breaker: Breaker) -> int:
        """Return the size of the next batch while the breaker is open: one message, once the probe is due."""
        if breaker.wait_s() > 0:
            self._wake_in(breaker.wait_s())
            return 0
        return 0 if self._tasks else 1

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()
        self._send()
        if self._is_behind:
            self._woken.set()

    async def _finish(self, jobs: list[DeliveryJob]) -> None:
        """Send *jobs*, settle them, and then release them; if cancelled, leave them to others."""
        breaker = self._outlet.breaker
        try:
            try:
                results = await self._outlet.forward(jobs)
            finally:
                self._sending -= 1
            self._send()  # the next batch may go while these are settled
            await self._settle(results)
            if breaker and breaker.openings and self._queue:
                await self._put_back_queue(breaker, _error(results), jobs)
            if breaker and breaker.openings != self._told_openings:
                await self._tell_of_breaker(breaker, results)
        except asyncio.CancelledError:
            for job in jobs:
                self._leases.leave(job.lease)
            raise
        finally:
            for job in jobs:
                self._forget(job)

    async def _settle(self, results: Sequence[ForwardResult]) -> None:
        for result, error in zip(results, await self._leases.settle_all(results), strict=True):
            if error is None:
                report(result)
            else:
                # The lease runs out and the message is sent again, with the same id.
                log.warning("not settled", event_id=result.job.event_id, error=str(error))

    async def _put_back_queue(self, breaker: Breaker, error: str, held: list[DeliveryJob]) -> None:
        """Hold nothing while the destination is down: deliveries may be paused, erased or dropped meanwhile.

        What is put back joins the deliveries the caller has *held* so far, and is released with them.
        """
        due_ms = int((time.time() + breaker.wait_s()) * 1000)
        parked = [DeliveryPostponed(job, due_ms, error, parked=True) for job in self._queue]
        held += self._queue
        self._queue.clear()
        await self._leases.settle_all(parked)

    async def _tell_of_breaker(self, breaker: Breaker, results: Sequence[ForwardResult]) -> None:
        name = self._outlet.name
        if not breaker.openings and not breaker.has_passed:
            # A new worker knows nothing yet: an earlier one may have found the destination down.
            return
        told, self._told_openings = self._told_openings, breaker.openings
        metrics.BREAKER_OPEN.labels(name).set(bool(breaker.openings))
        if breaker.openings:
            said = {"destination": name, "probe_in_s": round(breaker.wait_s(), 1), "error": _error(results)}
            log.warning("probe failed" if told else "breaker opened", **said)
        elif told:
            log.info("breaker closed", destination=name, openings=told)
        # Inform other processes. Only people see it, so a failing store does not matter.
        probe_ms = int((time.time() + breaker.wait_s()) * 1000) if breaker.openings else None
        with contextlib.suppress(StoreUnavailable):
            await self._store.transact_promptly(note_breaker, self._outlet.name, probe_ms=probe_ms)


def _error(results: Sequence[ForwardResult]) -> str:
    return next((one.error for one in results if isinstance(one, DeliveryPostponed | DeliveryDead)), "")
