"""The duty of forwarding: one per destination, so that none waits for another."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import assert_never

import structlog

from receiver.deliver import ForwardResult
from receiver.errors import StoreUnavailable
from receiver.store import (
    DeliveryConfirmed,
    DeliveryDead,
    DeliveryJob,
    DeliveryPostponed,
    DeliveryUnwanted,
    Store,
)
from receiver.telemetry import metrics
from receiver.worker.breaker import Breaker
from receiver.worker.leases import Leases
from receiver.worker.rate import TokenBucket

Forward = Callable[[Sequence[DeliveryJob]], Awaitable[list[ForwardResult]]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outlet:
    """One destination as the worker sees it."""

    name: str
    max_batch: int
    forward: Forward
    concurrency: int = 1
    """Batches under way at once."""
    rate: TokenBucket | None = None
    breaker: Breaker | None = None
    """The one that `forward` asks to judge."""


class Forwarding:
    """Forwards the due deliveries of one destination, as many at once as it allows."""

    def __init__(
        self, store: Store, leases: Leases, outlet: Outlet, *, woken: asyncio.Event | None = None
    ) -> None:
        """*woken* is set whenever another turn is worth while."""
        self._store = store
        self._leases = leases
        self._outlet = outlet
        self._woken = woken or asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._batches: set[asyncio.Task[None]] = set()
        self._told_openings: int | None = None
        """None until this worker has told anything: what the store says is of one before it."""

    async def turn(self) -> bool:
        """Start on one batch; return whether there was any, once there is room for the next."""
        limit = self._limit()
        if limit == 0:
            return False
        with ExitStack() as stack:
            claim = stack.enter_context(self._leases.claim(limit))
            jobs = await self._store.claim_deliveries(claim, destination=self._outlet.name)
            if self._outlet.rate:
                self._outlet.rate.put_back(limit - len(jobs))
            if jobs:
                self._start(jobs, held=stack.pop_all())
        await self._room()
        return bool(jobs)

    async def drain(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._batches)

    async def abandon(self) -> None:
        """Cancel what is still under way, so that its leases are given back."""
        if self._alarm:
            self._alarm.cancel()
        for task in self._batches:
            task.cancel()
        await asyncio.gather(*self._batches, return_exceptions=True)

    def _limit(self) -> int:
        """Return how many messages may be sent now; if there are none, see to being woken in time."""
        breaker, rate = self._outlet.breaker, self._outlet.rate
        limit = self._outlet.max_batch
        if breaker and breaker.openings:
            if self._batches:
                return 0
            if breaker.wait_s() > 0:
                self._wake_in(breaker.wait_s())
                return 0
            limit = 1
        if rate:
            limit = rate.take(limit)
            if limit == 0:
                self._wake_in(rate.wait_s())
        return limit

    def _wake_in(self, seconds: float) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._woken.set)

    async def _room(self) -> None:
        """Wait until another batch may be under way."""
        while len(self._batches) >= self._outlet.concurrency:
            done, _ = await asyncio.wait(self._batches, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    def _start(self, jobs: Sequence[DeliveryJob], *, held: ExitStack) -> None:
        task = asyncio.create_task(self._finish(jobs, held))
        self._batches.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._woken.set()

    async def _finish(self, jobs: Sequence[DeliveryJob], held: ExitStack) -> None:
        with held:
            results = await self._outlet.forward(jobs)
            await asyncio.gather(*(self._settle(result) for result in results))
            await self._tell_of_breaker(results)

    async def _settle(self, result: ForwardResult) -> None:
        try:
            await self._store.settle(result)
        except StoreUnavailable as error:
            # The lease runs out and the message is sent again, under the same id.
            log.warning("not settled", event_id=result.job.event_id, error=str(error))
        else:
            _report(result)

    async def _tell_of_breaker(self, results: Sequence[ForwardResult]) -> None:
        breaker, name = self._outlet.breaker, self._outlet.name
        if breaker is None or breaker.openings == self._told_openings:
            return
        told, self._told_openings = self._told_openings, breaker.openings
        metrics.BREAKER_OPEN.labels(name).set(bool(breaker.openings))
        if breaker.openings:
            said = {"destination": name, "probe_in_s": round(breaker.wait_s(), 1), "error": _error(results)}
            log.warning("probe failed" if told else "breaker opened", **said)
        elif told:
            log.info("breaker closed", destination=name, openings=told)
        await self._note(breaker)

    async def _note(self, breaker: Breaker) -> None:
        """Let other processes know: only for people to see, so a failing store is no matter."""
        probe_ms = int((time.time() + breaker.wait_s()) * 1000) if breaker.openings else None
        with contextlib.suppress(StoreUnavailable):
            await self._store.note_breaker(self._outlet.name, probe_ms=probe_ms)


def _error(results: Sequence[ForwardResult]) -> str:
    return next((one.error for one in results if isinstance(one, DeliveryPostponed | DeliveryDead)), "")


def _report(result: ForwardResult) -> None:
    job = result.job
    count = metrics.FORWARDS
    facts = log.bind(event_id=job.event_id, generation_id=job.generation_id, destination=job.destination)
    match result:
        case DeliveryConfirmed(receipt=receipt):
            count.labels(job.destination, "delivered").inc()
            facts.info("forwarded", attempts=job.attempts, **({"receipt": receipt} if receipt else {}))
        case DeliveryPostponed(error=error, parked=parked):
            count.labels(job.destination, "parked" if parked else "postponed").inc()
            facts.warning(
                "forward postponed", error=error, attempts=job.attempts - int(parked), parked=parked
            )
        case DeliveryUnwanted():
            count.labels(job.destination, "unwanted").inc()
            facts.info("unwanted")
        case DeliveryDead(error=error):
            count.labels(job.destination, "dead").inc()
            facts.error("dead letter", error=error, attempts=job.attempts)
        case _:
            assert_never(result)
