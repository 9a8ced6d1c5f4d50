"""One `pull:` destination: its deliveries, leased to consumers instead of sent, and the bell for new ones."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from receiver import clock
from receiver.backoff import Backoff
from receiver.deliver import ForwardResult, Unwanted, make_message, report
from receiver.destinations import Message
from receiver.errors import StoreUnavailable
from receiver.outcomes import FailedAttempt, Retry
from receiver.routing import EVERYTHING, Routing
from receiver.store import Store
from receiver.store.agenda import Agenda, deliveries_to
from receiver.store.claim import Claim, claim_deliveries
from receiver.store.jobs import DeliveryJob
from receiver.store.settlements import DeliveryDead, DeliveryPostponed, DeliveryUnwanted
from receiver.store.wake import FORWARD

_BACKOFF: Final = Backoff(1.0, 3600.0)
"""Wait for messages that cannot be built, until the projection is fixed."""


@dataclass(frozen=True, slots=True)
class Leased:
    """Messages that one consumer has until *until_ms*, with how often each was given to one."""

    lease: str
    until_ms: int
    messages: Sequence[tuple[Message, int]]


@dataclass(frozen=True, slots=True)
class PullQueue:
    """What waits for the consumers of one destination."""

    store: Store
    name: str
    visibility_s: float = 60.0
    max_receives: int = 10
    routing: Routing = EVERYTHING

    async def lease(self, most: int, visibility_s: float) -> Leased:
        """Give up to *most* due messages to one consumer, the oldest first; each receipt counts.

        What was given `max_receives` times already is a dead letter instead.
        """
        while True:
            leased, was_full = await self._lease(most, visibility_s)
            if leased.messages or not was_full:
                return leased

    async def _lease(self, most: int, visibility_s: float) -> tuple[Leased, bool]:
        now_ms = clock.now_ms()
        claim = Claim(now_ms, now_ms + int(visibility_s * 1000), secrets.token_hex(16), most)
        jobs = await self.store.transact_promptly(claim_deliveries, claim, destination=self.name)
        made = [(job, self._made(job, now_ms)) for job in jobs]
        closed = [one for _, one in made if not isinstance(one, Message)]
        if closed:
            for result, error in zip(closed, await self.store.settle_all(closed), strict=True):
                if error is None:
                    report(result)
        messages = [(one, job.attempts) for job, one in made if isinstance(one, Message)]
        return Leased(claim.lease, claim.until_ms, messages), len(jobs) == most

    def _made(self, job: DeliveryJob, now_ms: int) -> Message | ForwardResult:
        """Return the message, or what becomes of a delivery that none is given of."""
        if job.attempts > self.max_receives:
            return self._dead(job, now_ms, "never acknowledged")
        match make_message(job, self.routing):
            case Message() as message:
                return message
            case Unwanted():
                return DeliveryUnwanted(job)
            case Retry(error) if job.attempts == self.max_receives:
                return self._dead(job, now_ms, error)
            case Retry(error):
                due_ms = now_ms + int(_BACKOFF.delay_s(job.attempts, 1.0) * 1000)
                return DeliveryPostponed(job, due_ms, error, attempt=FailedAttempt(now_ms, 0, error))

    def _dead(self, job: DeliveryJob, now_ms: int, why: str) -> DeliveryDead:
        error = f"{why} (given to consumers {min(job.attempts, self.max_receives)} times)"
        return DeliveryDead(job, now_ms, error, FailedAttempt(now_ms, 0, error))


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
