"""The duty of forwarding: one per destination, so that none waits for another."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog

from receiver.deliver import ForwardResult
from receiver.errors import StoreUnavailable
from receiver.store import DeliveryConfirmed, DeliveryDead, DeliveryJob, DeliveryPostponed, Store
from receiver.telemetry import metrics
from receiver.worker.leases import Leases

Forward = Callable[[Sequence[DeliveryJob]], Awaitable[list[ForwardResult]]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outlet:
    """One destination as the worker sees it."""

    name: str
    max_batch: int
    forward: Forward


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Forwards the due deliveries of one destination, a batch at a time."""

    store: Store
    leases: Leases
    outlet: Outlet

    async def turn(self) -> bool:
        """Forward one batch; return whether there was any."""
        with self.leases.claim(self.outlet.max_batch) as claim:
            jobs = await self.store.claim_deliveries(claim, destination=self.outlet.name)
            if jobs:
                results = await self.outlet.forward(jobs)
                await asyncio.gather(*(self._settle(result) for result in results))
        return bool(jobs)

    async def _settle(self, result: ForwardResult) -> None:
        try:
            await self.store.settle(result)
        except StoreUnavailable as error:
            # The lease runs out and the message is sent again, under the same id.
            log.warning("not settled", event_id=result.job.event_id, error=str(error))
        else:
            _report(result)


def _report(result: ForwardResult) -> None:
    job = result.job
    count = metrics.FORWARDS
    facts = log.bind(event_id=job.event_id, generation_id=job.generation_id, destination=job.destination)
    match result:
        case DeliveryConfirmed():
            count.labels(job.destination, "delivered").inc()
            facts.info("forwarded", attempts=job.attempts)
        case DeliveryPostponed(error=error):
            count.labels(job.destination, "postponed").inc()
            facts.warning("forward postponed", error=error, attempts=job.attempts)
        case DeliveryDead(error=error):
            count.labels(job.destination, "dead").inc()
            facts.error("dead letter", error=error, attempts=job.attempts)
        case _:
            assert_never(result)
