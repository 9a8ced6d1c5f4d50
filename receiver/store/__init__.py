"""The store: events, their assets and deliveries, on SQLite or PostgreSQL by one code path."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.store import migrations
from receiver.store.backfill import Backfilled, Past, Stretch, backfill
from receiver.store.claim import Claim, release
from receiver.store.committer import Committer
from receiver.store.destinations import resume
from receiver.store.doubts import Doubts
from receiver.store.engine import connect, is_sqlite
from receiver.store.fanout import FanOut, Made, Route, everywhere
from receiver.store.health import Trouble, check, prove, trouble
from receiver.store.jobs import NO_PLACES, EventTaker, Handover, Hold, Places
from receiver.store.late import LateArrived
from receiver.store.operations import Operation, advance
from receiver.store.record import (
    Arrival,
    Entry,
    NewEvent,
    Recorded,
    RecordResult,
    Written,
    event_job_of,
    record,
)
from receiver.store.repeats import Streak
from receiver.store.requarantine import Reread
from receiver.store.settle import settle_and_claim
from receiver.store.settlements import (
    Closed,
    Closing,
    Due,
    EventSettled,
    ForwardSettlement,
    Search,
    Settlement,
)
from receiver.store.sqlite_file import LOOKS_ONLY
from receiver.store.transactions import EMBEDDED_PATIENCE_S, OPERATORS_PATIENCE_S, PATIENCE_S, Calls, describe
from receiver.store.wake import FORWARD, MIRROR, SETTLE, Wake
from receiver.threads import DaemonThreads

_POSTGRES_THREADS = 6
_CLOSE_S = 5.0
_PACE_S = 0.010
"""The pause between recording transactions. Senders do not notice; at 200 a second, two share each."""
_MOST_SETTLEMENTS = 20_000
"""More than all destinations together ever have in progress."""

P = ParamSpec("P")
Result = TypeVar("Result")
Outcome = TypeVar("Outcome", Written, Closed)


class Store:
    """Everything durable. Its methods run the database calls in threads and return after the commit.

    Every method raises `StoreUnavailable` if the database fails. Nothing was promised then.
    """

    def __init__(
        self,
        url: str,
        *,
        destinations: Sequence[str] = (),
        route: Route = everywhere,
        settles_at_once: bool = False,
    ) -> None:
        """Prepare to use the database at *url*. It connects on first use.

        An event whose asset is settled is fanned out to those of *destinations* that *route* selects. An
        event without an asset *settles_at_once* if its recorder knows all destinations and the database is
        embedded: on PostgreSQL it could wait for another process's lock.
        """
        self.engine: Engine = connect(url)
        self.wake = Wake()
        self.handover = Handover()
        self._doubts = Doubts()
        self.destinations = destinations
        """The configured ones, in their configured order."""
        # SQLite has one writer at a time. One thread makes a fair queue of the writers; a lock would not.
        self._threads = DaemonThreads(1 if self.is_embedded else _POSTGRES_THREADS, name="store")
        spare, self._patience_s = (0, EMBEDDED_PATIENCE_S) if self.is_embedded else (6, PATIENCE_S)
        self._calls = Calls(self.engine, self._threads, spare=spare)
        looking = self.engine.execution_options(**{LOOKS_ONLY: True})
        self._looks = Calls(looking, self._threads, spare=spare)
        commits = partial(Committer, self.engine, self._threads, timeout_s=self._patience_s, spare=spare)
        self._trouble: Trouble | None = None
        self._settles_at_once = settles_at_once and self.is_embedded
        self._fan_out = fan_out = FanOut(destinations, route)
        self._records: Committer[Arrival, Written] = commits(
            partial(record, fan_out=fan_out, streak=Streak()), pace_s=_PACE_S
        )
        self._settlements: Committer[Closing | Search, Closed | Due] = commits(
            partial(settle_and_claim, fan_out=fan_out), max_waiting=_MOST_SETTLEMENTS
        )

    @property
    def is_embedded(self) -> bool:
        """Whether this is SQLite, which nobody else administers."""
        return is_sqlite(self.engine)

    def reroute(self, destinations: Sequence[str], route: Route) -> None:
        """Fan out by these rules from now on; existing deliveries stay. Call from the event loop."""
        self.destinations = destinations
        self._fan_out.change(destinations, route)

    async def transact(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run *work* in its own transaction, without a tight time limit.

        It runs again after a deadlock, so it must change nothing but the database.
        """
        return await self._call(lambda connection: work(connection, *args, **kwargs), OPERATORS_PATIENCE_S)

    async def transact_promptly(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Do the same, but give up within seconds, because a lease or a sender is waiting."""
        return await self._call(lambda connection: work(connection, *args, **kwargs), self._patience_s)

    async def look(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run *work* promptly. It only reads, so it never waits for writers."""
        return await self._call(
            lambda connection: work(connection, *args, **kwargs), self._patience_s, through=self._looks
        )

    async def record(self, entry: Entry) -> RecordResult:
        """Record *entry* durably and return whether it was new."""
        if not isinstance(entry, NewEvent):
            return (await self._arrive(Arrival(entry))).result
        if self._settles_at_once and not entry.expects_asset:
            return (await self._placed(lambda places: self._arrive(Arrival(entry, places=places)))).result
        if entry.asset_host and (place := self.handover.event_place(entry.source, entry.asset_host)):
            return await self._record_for(*place, entry, entry.asset_host)
        result = (await self._arrive(Arrival(entry))).result
        if isinstance(result, Recorded):
            self.wake.signal(entry.topic)
        return result

    async def _arrive(self, arrival: Arrival) -> Written:
        try:
            written = await self._records.submit(arrival)
        except StoreUnavailable as error:
            self._trouble = trouble(error) or self._trouble
            raise
        self._trouble = None
        return written

    async def _record_for(
        self, taker: EventTaker, hold: Hold, event: NewEvent, asset_host: str
    ) -> RecordResult:
        is_new = False
        try:
            result = (await self._arrive(Arrival(event, hold))).result
            is_new = isinstance(result, Recorded)
        except StoreUnavailable as error:
            self._doubts.note(error, [hold.lease])
            raise
        finally:
            if is_new:
                taker.take(event_job_of(event, hold))
            else:
                taker.free(asset_host)
        return result

    async def settle(self, settlement: Settlement) -> bool:
        """Record the result of claimed work; False if its lease was lost and nothing was written."""
        if not isinstance(settlement, EventSettled):
            closed = await self._close(Closing(settlement))
            if isinstance(settlement, LateArrived):
                self.wake.signal(FORWARD)
            return closed.held
        return (await self._placed(lambda places: self._close(Closing(settlement, places)))).held

    async def _placed(self, commit: Callable[[Places], Awaitable[Outcome]]) -> Outcome:
        """Return what *commit* returns for reserved places; hand over the deliveries it made."""
        places = self.handover.delivery_places()
        made = None
        try:
            outcome = await commit(places)
            made = outcome.made
        except StoreUnavailable as error:
            self._doubts.note(error, places.leases())
            raise
        finally:
            self._hand_over(places, made)
        return outcome

    async def _close(self, closing: Closing) -> Closed:
        closed = await self._settlements.submit(closing)
        assert isinstance(closed, Closed)
        return closed

    async def settle_all(self, results: Sequence[ForwardSettlement]) -> list[StoreUnavailable | None]:
        """Record the results of deliveries; return for each the reason why it may not be written, or None."""
        closed = await self._settlements.submit_all([Closing(one) for one in results])
        return [one if isinstance(one, StoreUnavailable) else None for one in closed]

    async def settle_due(self, claim: Claim) -> Due:
        """Settle due events that have no asset; claim those that should have one, or cannot be read."""
        places = list(self.handover.places_of(claim.limit))
        due = Due()
        try:
            found = await self._settlements.submit(Search(claim, places))
            assert isinstance(found, Due)
            due = found
        except StoreUnavailable as error:
            self._doubts.note(error, [claim.lease, *(lease for one in places for lease in one.leases())])
            raise
        finally:
            for kept, made in zip_longest(places, due.made, fillvalue=None):
                self._hand_over(kept or NO_PLACES, made)
        return due

    def _hand_over(self, places: Places, made: Made | None) -> None:
        places.fill(made.jobs if made else {})
        if made and made.is_left:
            self.wake.signal(FORWARD)

    async def claim(
        self,
        take: Callable[Concatenate[Connection, Claim, P], Result],
        claim: Claim,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Result:
        """Have *take* lease due work to *claim*; `free_doubtful` releases claims that got no answer."""
        try:
            return await self.transact_promptly(take, claim, *args, **kwargs)
        except StoreUnavailable as error:
            self._doubts.note(error, [claim.lease])
            raise

    async def free_doubtful(self, *, pause_s: float) -> None:
        """Wait for claims without an answer and *pause_s* longer, then make what they took due at once."""
        leases = await self._doubts.some()
        await asyncio.sleep(pause_s)
        await self.transact_promptly(release, leases, now_ms=clock.now_ms())
        self._doubts.settle(leases)

    async def listen(self) -> None:
        """Pass on signals from other machines, until cancelled. On SQLite there are none."""
        if not self.is_embedded:
            from receiver.store.listen import listen  # noqa: PLC0415  only processes that stay up listen

            await listen(self.engine, self.wake)

    async def check(self) -> None:
        """Refuse unless the schema fits and a row can be committed the way a delivery is."""
        await self.transact_promptly(check)
        # A commit that is under way is proof enough.
        if not await self._records.next_commit():
            await self.transact_promptly(prove)
        if self._trouble:
            self._trouble.refuse()

    async def resume(self, destination: str) -> bool:
        """Let workers claim again; False if *destination* was not paused."""
        was_paused = await self.transact_promptly(resume, destination)
        self.wake.signal(FORWARD)
        return was_paused

    async def backfill(
        self, past: Past, stretch: Stretch, *, route: Route, dry_run: bool = False
    ) -> Backfilled:
        """Make the deliveries missing from one stretch of *past*. Existing ones are left alone.

        New ones are due after everything else.
        """
        done = await self.transact(backfill, past, stretch, route=route, dry_run=dry_run)
        if done.created and not dry_run:
            self.wake.signal(FORWARD)
        return done

    async def advance(self, id_: str, *, now_ms: int, reread: Reread) -> Operation | None:
        """Do one page of an operation; return its progress, or None if there is no such operation."""
        operation = await self.transact(advance, id_, now_ms=now_ms, reread=reread)
        for topic in (FORWARD, MIRROR, SETTLE):
            self.wake.signal(topic)
        return operation

    def migrate(self, tell: Callable[[str], None] = lambda _: None) -> tuple[str | None, str]:
        """Bring the schema to this release's revision; return the revisions before and after.

        Blocks for as long as other sessions lock its tables, and *tell*s which ones do.
        """
        try:
            return migrations.migrate(self.engine, tell)
        except SQLAlchemyError as error:
            raise StoreUnavailable(describe(error)) from error

    def close(self) -> None:
        """Wait a few seconds at most for running transactions, and close all connections.

        A transaction that still hangs in the database ends with the process, as if the connection were lost.
        """
        self._threads.shutdown(wait=False)
        self._threads.join(within_s=_CLOSE_S)
        self.engine.dispose()

    async def _call(
        self, work: Callable[[Connection], Result], within_s: float, *, through: Calls | None = None
    ) -> Result:
        try:
            return await (through or self._calls).begin(work, within_s=within_s)
        except SQLAlchemyError as error:
            raise StoreUnavailable(describe(error)) from error
