"""A store that hands out the work a test gives it, and remembers what became of it."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from receiver.errors import StoreUnavailable
from receiver.store.claim import NOTHING_AWAY, Away, Claim
from receiver.store.future import Present
from receiver.store.jobs import ALL_SOURCES, DeliveryJob, EventJob, LateJob, Sources
from receiver.store.settlements import Due, EventSettled, ForwardSettlement, Settlement
from receiver.store.spools import Process
from receiver.store.wake import Wake

P = ParamSpec("P")
Result = TypeVar("Result")


class Transacting:
    """A store whose transactions are answered by its methods of the same names."""

    async def transact(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Answer as the method that has the name of *work*."""
        done: Result = await getattr(self, work.__name__)(*args, **kwargs)
        return done

    transact_promptly = transact
    claim = transact
    look = transact


@dataclass
class ScriptedStore(Transacting):
    """The worker's side of a store, without a database."""

    events: list[EventJob] = field(default_factory=list)
    late: list[LateJob] = field(default_factory=list)
    deliveries: list[DeliveryJob] = field(default_factory=list)
    settled: list[Settlement] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    renewed: list[set[str]] = field(default_factory=list)
    released: list[set[str]] = field(default_factory=list)
    wake: Wake = field(default_factory=Wake)
    claim_error: StoreUnavailable | None = None
    settle_error: StoreUnavailable | None = None
    settle_errors: list[StoreUnavailable] = field(default_factory=list)
    """Of the next calls; after them they succeed."""
    noted: list[int | None] = field(default_factory=list)
    renew_error: StoreUnavailable | None = None
    release_error: StoreUnavailable | None = None
    aways: list[Away] = field(default_factory=list)
    """What was left by each claim of events."""
    spools: set[str] = field(default_factory=set)
    """The folders that events were claimed for."""
    seen: list[tuple[str, Process]] = field(default_factory=list)
    signed_off: list[tuple[str, Process]] = field(default_factory=list)
    see_errors: list[StoreUnavailable] = field(default_factory=list)
    corrected_for: list[Present] = field(default_factory=list)
    in_vain: set[str] = field(default_factory=set)
    """Events whose asset cannot be fetched from anywhere."""
    due_queues: list[str] = field(default_factory=list)
    holds: bool = True
    """Whether leases still hold when their work is settled."""
    frozen: asyncio.Event | None = None
    """What settling waits for."""

    async def due(self, *, now_ms: int) -> list[str]:
        assert now_ms > 0
        return self.due_queues

    async def correct_due_times(self, present: Present) -> int:
        self.corrected_for.append(present)
        return 0

    async def claim_events(
        self,
        claim: Claim,
        *,
        with_asset: bool,
        sources: Sources = ALL_SOURCES,
        except_hosts: Collection[str] = (),
        spool: str = "",
        away: Away = NOTHING_AWAY,
    ) -> list[EventJob]:
        self._note(claim)
        self.spools.add(spool)
        self.aways.append(away)
        fits = [
            job
            for job in self.events
            if (job.asset_host is not None) == with_asset
            and job.source in sources
            and job.asset_host not in (*except_hosts, *away.hosts)
            and away.downloaded in (None, job.kept_by is not None)
        ]
        taken = fits[: claim.limit]
        self.events = [job for job in self.events if job not in taken]
        return [replace(job, lease=claim.lease) for job in taken]

    async def settle_due(self, claim: Claim) -> Due:
        found = await self.claim_events(claim, with_asset=False)
        settled = [job for job in found if job.id not in self.in_vain]
        self.settled += [EventSettled(job, None, claim.now_ms) for job in settled]
        return Due(settled, [job for job in found if job.id in self.in_vain])

    async def claim_late(
        self,
        claim: Claim,
        *,
        sources: Sources = ALL_SOURCES,
        except_hosts: Collection[str] = (),
        away: Away = NOTHING_AWAY,
    ) -> list[LateJob]:
        self._note(claim)
        spared = (*except_hosts, *away.hosts)
        fits = [job for job in self.late if job.source in sources and job.asset_host not in spared]
        taken = fits[: claim.limit]
        self.late = [job for job in self.late if job not in taken]
        return [replace(job, lease=claim.lease) for job in taken]

    async def claim_deliveries(self, claim: Claim, *, destination: str) -> list[DeliveryJob]:
        self._note(claim)
        fits = [job for job in self.deliveries if job.destination == destination]
        taken = fits[: claim.limit]
        self.deliveries = [job for job in self.deliveries if job not in taken]
        return [replace(job, lease=claim.lease) for job in taken]

    async def settle(self, settlement: Settlement) -> bool:
        if self.frozen:
            await self.frozen.wait()
        if self.settle_errors:
            raise self.settle_errors.pop()
        if self.settle_error:
            raise self.settle_error
        self.settled.append(settlement)
        return self.holds

    async def settle_all(self, results: Sequence[ForwardSettlement]) -> list[StoreUnavailable | None]:
        if self.settle_error:
            return [self.settle_error] * len(results)
        self.settled += results
        return [None] * len(results)

    async def renew(self, leases: Collection[str], *, until_ms: int) -> None:
        assert until_ms > 0
        self.renewed.append(set(leases))
        if self.renew_error:
            raise self.renew_error

    async def release(self, leases: Collection[str], *, now_ms: int) -> None:
        assert now_ms > 0
        if self.release_error:
            raise self.release_error
        self.released.append(set(leases))

    async def note_breaker(self, _destination: str, *, probe_ms: int | None) -> None:
        self.noted.append(probe_ms)

    async def see_spool(self, spool: str, *, now_ms: int, process: Process) -> None:
        assert now_ms > 0
        if self.see_errors:
            raise self.see_errors.pop()
        self.seen.append((spool, process))

    async def sign_off(self, spool: str, *, now_ms: int, process: Process) -> None:
        assert now_ms > 0
        if self.see_errors:
            raise self.see_errors.pop()
        self.signed_off.append((spool, process))

    async def free_doubtful(self, *, pause_s: float) -> None:
        """Doubt nothing, for ever."""
        assert pause_s > 0
        await asyncio.Event().wait()

    async def listen(self) -> None:
        """Hear nothing, for ever."""
        await asyncio.Event().wait()

    def _note(self, claim: Claim) -> None:
        if self.claim_error:
            raise self.claim_error
        self.claims.append(claim)
