"""The store: events, their assets and deliveries, on SQLite or PostgreSQL by one code path."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.store import migrations
from receiver.store.awaiting import awaiting_asset
from receiver.store.backfill import Backfilled, Past, Stretch, backfill, count_missed
from receiver.store.backlog import Backlog, backlog
from receiver.store.calls import Calls
from receiver.store.claim import (
    ALL_SOURCES,
    NOTHING_AWAY,
    Away,
    Claim,
    DeliveryJob,
    EventJob,
    Keeper,
    LateJob,
    Sources,
    claim_deliveries,
    claim_events,
    release,
    renew,
)
from receiver.store.committer import Committer
from receiver.store.console import Console
from receiver.store.destinations import (
    DestinationStatus,
    destination_statuses,
    known_destinations,
    note_breaker,
    pause,
    resume,
)
from receiver.store.doubts import Doubts
from receiver.store.due import Due, settle_due
from receiver.store.engine import connect, is_sqlite
from receiver.store.fanout import Candidate, FanOut, Made, Route, everywhere
from receiver.store.future import Present, put_right
from receiver.store.handover import NO_PLACES, DeliveryTaker, EventTaker, Handover, Hold, Places
from receiver.store.health import Probe, Trouble, check, record_or_prove
from receiver.store.inventory import KnownAsset, Scope, count_assets, known_assets, relocate
from receiver.store.late import (
    LateArrived,
    LateGivenUp,
    LatePostponed,
    LateSettlement,
    claim_late,
    take_failed,
)
from receiver.store.passes import (
    Turn,
    awaited,
    end_turn,
    kept_cursor,
    known_endings,
    save_cursor,
    take_turn,
)
from receiver.store.progress import Progress, progress
from receiver.store.record import (
    Arrival,
    Duplicate,
    Entry,
    Late,
    NewEvent,
    NewQuarantine,
    Recorded,
    RecordResult,
    Written,
    event_job_of,
)
from receiver.store.settle import (
    Closed,
    Closing,
    DeliveryConfirmed,
    DeliveryDead,
    DeliveryPostponed,
    DeliveryUnwanted,
    EventKept,
    EventPostponed,
    EventSettled,
    ForwardSettlement,
    Settlement,
    settle,
)
from receiver.store.spools import recall, see_spool
from receiver.store.transactions import EMBEDDED_PATIENCE_S, OPERATORS_PATIENCE_S, PATIENCE_S, describe
from receiver.store.wake import FORWARD, LATE, MIRROR, Wake
from receiver.threads import DaemonThreads

__all__ = [
    "ALL_SOURCES",
    "FORWARD",
    "LATE",
    "MIRROR",
    "NOTHING_AWAY",
    "Away",
    "Backfilled",
    "Backlog",
    "Candidate",
    "Claim",
    "Console",
    "DeliveryConfirmed",
    "DeliveryDead",
    "DeliveryJob",
    "DeliveryPostponed",
    "DeliveryTaker",
    "DeliveryUnwanted",
    "DestinationStatus",
    "Due",
    "Duplicate",
    "Entry",
    "EventJob",
    "EventKept",
    "EventPostponed",
    "EventSettled",
    "EventTaker",
    "ForwardSettlement",
    "Hold",
    "Keeper",
    "KnownAsset",
    "Late",
    "LateArrived",
    "LateGivenUp",
    "LateJob",
    "LatePostponed",
    "LateSettlement",
    "NewEvent",
    "NewQuarantine",
    "Past",
    "Present",
    "Progress",
    "RecordResult",
    "Recorded",
    "Route",
    "Scope",
    "Settlement",
    "Sources",
    "Store",
    "Stretch",
    "Turn",
    "Wake",
]

_POSTGRES_THREADS = 6
_CLOSE_S = 5.0
_MOST_SETTLEMENTS = 20_000
"""More than all destinations together have under way."""

P = ParamSpec("P")
Result = TypeVar("Result")


class Store:
    """Everything durable. Its methods await the database in threads and return after the commit.

    Raises `StoreUnavailable` from every method when the database fails: nothing was promised then.
    """

    def __init__(
        self,
        url: str,
        *,
        destinations: Sequence[str] = (),
        route: Route = everywhere,
        settles_at_once: bool = False,
    ) -> None:
        """Prepare to use the database at *url*; connects on first use.

        *destinations* are the names an event is fanned out to when its asset is settled, as far as *route*
        says that it goes there. An event without an asset *settles_at_once* if whoever records it knows all
        destinations and the database is embedded: on PostgreSQL that could wait for another's lock.
        """
        self.engine: Engine = connect(url)
        self.wake = Wake()
        self.handover = Handover()
        self._doubts = Doubts()
        self._destinations = destinations
        self.console = Console(self)
        """Lists, replays and dead letters: what an operator asks for."""
        # SQLite has one writer at a time. One thread makes that a fair queue; a lock would not.
        self._threads = DaemonThreads(1 if self.is_embedded else _POSTGRES_THREADS, name="store")
        spare, self._patience_s = (0, EMBEDDED_PATIENCE_S) if self.is_embedded else (6, PATIENCE_S)
        self._calls = Calls(self.engine, self._threads, spare=spare)
        commits = partial(Committer, self.engine, self._threads, timeout_s=self._patience_s, spare=spare)
        self._trouble = Trouble()
        self._settles_at_once = settles_at_once and self.is_embedded
        self._fan_out = fan_out = FanOut(destinations, route)
        self._records: Committer[Arrival | Probe, Written | None] = commits(
            partial(record_or_prove, fan_out=fan_out)
        )
        self._settlements: Committer[Closing, Closed] = commits(
            partial(settle, fan_out=fan_out), max_waiting=_MOST_SETTLEMENTS
        )

    @property
    def is_embedded(self) -> bool:
        """Whether this is SQLite, which nobody but us administers."""
        return is_sqlite(self.engine)

    async def record(self, entry: Entry) -> RecordResult:
        """Write *entry* down durably and say whether it was the first of its kind."""
        if not isinstance(entry, NewEvent):
            return (await self._arrive(Arrival(entry))).result
        if self._settles_at_once and not entry.expects_asset:
            return await self._record_and_settle(entry)
        if entry.asset_host and (place := self.handover.event_place(entry.source, entry.asset_host)):
            return await self._record_for(*place, entry, entry.asset_host)
        result = (await self._arrive(Arrival(entry))).result
        if isinstance(result, Recorded):
            self.wake.signal(MIRROR)
        return result

    async def _arrive(self, arrival: Arrival) -> Written:
        with self._trouble.noted():
            written = await self._records.submit(arrival)
        assert written is not None  # only a probe has nothing
        return written

    async def _record_for(
        self, taker: EventTaker, hold: Hold, event: NewEvent, asset_host: str
    ) -> RecordResult:
        is_new = False
        try:
            with self._doubts.about(hold.lease):
                result = (await self._arrive(Arrival(event, hold))).result
            is_new = isinstance(result, Recorded)
        finally:
            if is_new:
                taker.take(event_job_of(event, hold))
            else:
                taker.free(asset_host)
        return result

    async def _record_and_settle(self, event: NewEvent) -> RecordResult:
        places = self.handover.delivery_places()
        made = None
        try:
            with self._doubts.about(*places.leases()):
                written = await self._arrive(Arrival(event, places=places))
            made = written.made
        finally:
            self._hand_over(places, made)
        return written.result

    async def settle(self, settlement: Settlement) -> bool:
        """Write down what came of claimed work; False when its lease was lost and nothing was written."""
        if not isinstance(settlement, EventSettled):
            closed = await self._settlements.submit(Closing(settlement))
            if isinstance(settlement, LateArrived):
                self.wake.signal(FORWARD)
            return closed.held
        places = self.handover.delivery_places()
        made = None
        try:
            with self._doubts.about(*places.leases()):
                closed = await self._settlements.submit(Closing(settlement, places))
            made = closed.made
        finally:
            self._hand_over(places, made)
        return closed.held

    async def settle_all(self, results: Sequence[ForwardSettlement]) -> list[StoreUnavailable | None]:
        """Write down what came of deliveries; say of each why it is not known to be written, if so."""
        closed = await self._settlements.submit_all([Closing(one) for one in results])
        return [one if isinstance(one, StoreUnavailable) else None for one in closed]

    async def settle_due(self, claim: Claim) -> Due:
        """Settle due events that have no asset; claim those that one is expected of, in vain."""
        places = list(self.handover.places_of(claim.limit))
        due = Due()
        try:
            due = await self._run(settle_due, claim, places=places, fan_out=self._fan_out)
        finally:
            for kept, made in zip_longest(places, due.made, fillvalue=None):
                self._hand_over(kept or NO_PLACES, made)
        return due

    def _hand_over(self, places: Places, made: Made | None) -> None:
        places.fill(made.jobs if made else {})
        if made and made.is_left:
            self.wake.signal(FORWARD)

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
        """Take due events with or without an asset to fetch, oldest first, sparing *except_hosts*.

        What is *away* is left, and what a living worker with another *spool* folder has the download of.
        """
        with self._doubts.about(claim.lease):
            return await self._run(
                claim_events,
                claim,
                with_asset=with_asset,
                sources=sources,
                except_hosts=except_hosts,
                spool=spool,
                away=away,
            )

    async def claim_late(
        self,
        claim: Claim,
        *,
        sources: Sources = ALL_SOURCES,
        except_hosts: Collection[str] = (),
        away: Away = NOTHING_AWAY,
    ) -> Sequence[LateJob]:
        """Take due late assets, oldest first, sparing *except_hosts* and what is *away*."""
        with self._doubts.about(claim.lease):
            return await self._run(claim_late, claim, sources=sources, except_hosts=except_hosts, away=away)

    async def take_failed(self, claim: Claim, *, event_id: str) -> LateJob | None:
        """Take one given-up asset for another attempt; None if it is not, or a worker is at it."""
        return await self._run(take_failed, claim, event_id=event_id)

    async def claim_deliveries(self, claim: Claim, *, destination: str) -> list[DeliveryJob]:
        """Take due deliveries of one destination, oldest first; none while it is paused."""
        with self._doubts.about(claim.lease):
            return await self._run(claim_deliveries, claim, destination=destination)

    async def awaiting_asset(self, event_ids: Sequence[str]) -> set[str]:
        """Return those of *event_ids* that are not settled yet."""
        return await self._run(awaiting_asset, event_ids)

    async def see_spool(self, spool: str, *, now_ms: int) -> None:
        """Note that a worker has the folder *spool*."""
        await self._run(see_spool, spool, now_ms=now_ms)

    async def recall(self, event_ids: Sequence[str], *, spool: str, now_ms: int) -> None:
        """Note that *spool* has the downloads of these events, and make those due that wait."""
        await self._run(recall, event_ids, spool=spool, now_ms=now_ms)

    async def renew(self, leases: Collection[str], *, until_ms: int) -> None:
        """Move the end of *leases* to *until_ms*."""
        await self._run(renew, leases, until_ms=until_ms)

    async def release(self, leases: Collection[str], *, now_ms: int) -> None:
        """Give unfinished work back at once."""
        await self._run(release, leases, now_ms=now_ms)

    async def free_doubtful(self, *, pause_s: float) -> None:
        """Wait for claims without an answer, and *pause_s* more; then make due at once what they took."""
        leases = await self._doubts.some()
        await asyncio.sleep(pause_s)
        await self.release(leases, now_ms=clock.now_ms())
        self._doubts.settle(leases)

    async def put_right(self, present: Present) -> int:
        """Make due what a clock that was set back since has put off; return how many rows that were."""
        return await self._run(put_right, present)

    async def take_turn(self, claim: Claim, *, source: str, at_once: bool = False) -> Turn | None:
        """Take the turn to reconcile *source* if it is due, or, *at_once*, if nobody else has it."""
        return await self._run(take_turn, claim, source=source, at_once=at_once)

    async def kept_cursor(self, source: str) -> str | None:
        """Return how far the last turn of *source* came."""
        return await self._run(kept_cursor, source)

    async def save_cursor(self, turn: Turn, cursor: str, looks: Mapping[str, int] | None = None) -> bool:
        """Keep how far *turn* came, and when the submitted generations in *looks* are to be looked at again.

        False when another has the turn by now.
        """
        return await self._run(save_cursor, turn, cursor, looks or {})

    async def end_turn(self, turn: Turn, *, due_ms: int) -> None:
        """Give the turn back; the next is at *due_ms*."""
        await self._run(end_turn, turn, due_ms=due_ms)

    async def known_endings(self, source: str, generation_ids: Collection[str]) -> set[tuple[str, str]]:
        """Return generation and type of the terminal events that are there already."""
        return await self._run(known_endings, source, generation_ids)

    async def awaited(self, source: str, *, since_ms: int, now_ms: int) -> dict[str, int]:
        """Return what our client asked for since then and no event told the end of, with when that was.

        What was looked at waits behind all that was sent before that; what is put off is left out.
        """
        return await self._run(awaited, source, since_ms=since_ms, now_ms=now_ms)

    async def known_assets(self, scope: Scope, *, after: str, limit: int) -> list[KnownAsset]:
        """Return up to *limit* assets whose event id is greater than *after*, in that order."""
        return await self._ask(known_assets, scope, after=after, limit=limit)

    async def count_assets(self, scope: Scope) -> int:
        """Return how many assets are within *scope*."""
        return await self._ask(count_assets, scope)

    async def relocate(self, known: KnownAsset, *, url: str) -> bool:
        """Note that *known* now lies at *url*; False if it had moved already."""
        return await self._ask(relocate, known, url=url)

    async def transact(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run *work* in a transaction of its own; again after a deadlock, so it must change nothing else."""
        return await self._ask(work, *args, **kwargs)

    async def listen(self) -> None:
        """Pass on what other machines signal, until cancelled. On SQLite there are none."""
        if not self.is_embedded:
            from receiver.store.listen import listen  # noqa: PLC0415  only processes that stay up listen

            await listen(self.engine, self.wake)

    async def check(self) -> None:
        """Refuse unless the schema fits and a row can be written and committed as a delivery is."""
        await self._run(check)
        await self._records.submit(Probe())
        self._trouble.refuse()

    async def progress(self, generation_ids: Collection[str]) -> list[Progress]:
        """Tell how far the events of these generations have come, oldest first."""
        return await self._ask(progress, generation_ids)

    async def backlog(self) -> list[Backlog]:
        """Count what waits for each configured destination, and for any other that has something waiting."""
        return await self._ask(backlog, self._destinations)

    async def known_destinations(self) -> list[str]:
        """Return the configured destinations and all that have deliveries or are paused."""
        return await self._ask(known_destinations, self._destinations)

    async def destination_statuses(self, names: Collection[str]) -> list[DestinationStatus]:
        """Tell how the destinations called *names* are doing, in that order."""
        return await self._ask(destination_statuses, names)

    async def pause(self, destination: str, *, reason: str | None, now_ms: int) -> bool:
        """Keep deliveries from being claimed by any worker; False when *destination* was paused already."""
        return await self._run(pause, destination, reason=reason, now_ms=now_ms)

    async def resume(self, destination: str) -> bool:
        """Let workers claim again; False when *destination* was not paused."""
        was_paused = await self._run(resume, destination)
        self.wake.signal(FORWARD)
        return was_paused

    async def note_breaker(self, destination: str, *, probe_ms: int | None) -> None:
        """Write down when a worker whose breaker is open tries again, or that it has closed."""
        await self._run(note_breaker, destination, probe_ms=probe_ms)

    async def count_missed(self, destination: str) -> int:
        """Count the latest settled events, 10,000 at most; 0 if one of them went to *destination*."""
        return await self._ask(count_missed, destination)

    async def backfill(
        self, past: Past, stretch: Stretch, *, route: Route, dry_run: bool = False
    ) -> Backfilled:
        """Make the deliveries that *past* lacks, for one stretch of its events; what is there is left alone.

        They are due behind everything else.
        """
        done = await self._ask(backfill, past, stretch, route=route, dry_run=dry_run)
        if done.made and not dry_run:
            self.wake.signal(FORWARD)
        return done

    def migrate(self, tell: Callable[[str], None] = lambda _: None) -> tuple[str | None, str]:
        """Bring the schema to this release's revision; return the revisions before and after.

        Blocks for as long as others hold its tables, and *tell*s who does.
        """
        try:
            return migrations.migrate(self.engine, tell)
        except SQLAlchemyError as error:
            raise StoreUnavailable(describe(error)) from error

    def close(self) -> None:
        """Wait for running transactions, a few seconds at most, and close all connections.

        One that a hanging database holds up even then ends with the process, as if the connection were lost.
        """
        self._threads.shutdown(wait=False)
        self._threads.join(within_s=_CLOSE_S)
        self.engine.dispose()

    async def _run(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        return await self._call(lambda connection: work(connection, *args, **kwargs), self._patience_s)

    async def _ask(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run what may take its time."""
        return await self._call(lambda connection: work(connection, *args, **kwargs), OPERATORS_PATIENCE_S)

    async def _call(self, work: Callable[[Connection], Result], within_s: float) -> Result:
        try:
            return await self._calls.begin(work, within_s=within_s)
        except SQLAlchemyError as error:
            raise StoreUnavailable(describe(error)) from error
