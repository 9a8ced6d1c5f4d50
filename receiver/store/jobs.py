"""Jobs: work that one worker has, by a claim or by a handover within this process.

Polling the tables is for backlogs, retries and work made by other processes. Work handed over is written
under a lease from the start: after a crash it becomes due once that lease ends.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import ColumnElement, true

from receiver.events import Asset
from receiver.store.attempts import FILE, LATE_FILE
from receiver.store.tables import EVENT

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Keeper:
    """The spool folder that holds an event's download."""

    spool: str
    seen_ms: int | None
    """When a worker with that folder was last seen, if ever."""


@dataclass(frozen=True, slots=True)
class EventJob:
    """A claimed event, its asset to be mirrored."""

    id: str
    source: str
    generation_id: str
    asset_host: str | None
    body: bytes
    received_ms: int
    attempts: int
    """How many attempts were begun, including this one."""
    lease: str
    last_error: str | None = None
    """Why the previous attempt was postponed."""
    kept_by: Keeper | None = None

    @property
    def key(self) -> Key:
        """The key for settlements and failed attempts."""
        return self.id, FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class LateJob(EventJob):
    """A claimed event that was sent without its asset; the asset is still retried."""

    until_ms: int
    """No attempt is made after this."""

    @property
    def key(self) -> Key:
        """See `EventJob`."""
        return self.id, LATE_FILE


@dataclass(frozen=True, slots=True)
class DeliveryJob:
    """A claimed delivery: an event, its asset's result, and the destination."""

    event_id: str
    destination: str
    source: str
    generation_id: str
    body: bytes
    received_ms: int
    asset: Asset | None
    attempts: int
    """How many attempts were begun, including this one."""
    lease: str
    submission: Mapping[str, object] | None = None
    """What the message says about the submission that the event answers."""
    undecided: bool = False
    """Whether the destination's filter must still be evaluated: the submission was unknown before."""
    is_first: bool = True
    """Whether it was made with its event. The age of replayed or backfilled deliveries means nothing."""

    @property
    def key(self) -> Key:
        """The key for settlements and failed attempts."""
        return self.event_id, self.destination


Job = TypeVar("Job", bound=EventJob)


def event_job(kind: type[Job], row: Any, *, lease: str, attempts: int, **more: Any) -> Job:
    """Build a job from *row*, with any *more* fields that its *kind* has."""
    return kind(
        id=row.id,
        source=row.source,
        generation_id=row.generation_id,
        asset_host=row.asset_host,
        body=row.body,
        received_ms=row.received_ms,
        attempts=attempts,
        lease=lease,
        **more,
    )


@dataclass(frozen=True, slots=True)
class Sources:
    """A set of sources: *only* one, or all except those in *without*."""

    only: str | None = None
    without: Collection[str] = ()

    def __contains__(self, source: str) -> bool:
        """Return whether *source* is in the set."""
        return source == self.only if self.only is not None else source not in self.without

    def condition(self) -> ColumnElement[bool]:
        """Return the SQL condition that selects their events."""
        if self.only is not None:
            # An expression: otherwise SQLite would read every event the source ever had.
            return EVENT.c.source.concat("") == self.only
        return EVENT.c.source.not_in(self.without) if self.without else true()


ALL_SOURCES: Final = Sources()


@dataclass(frozen=True, slots=True)
class Hold:
    """The lease that new work is written under."""

    lease: str
    until_ms: int
    spool: str | None = None
    """The folder for downloads of an event's asset. Recording it here saves a transaction later."""


class EventTaker(Protocol):
    """Takes over events to mirror. Called on the event loop."""

    def reserve(self, asset_host: str) -> Hold | None:
        """Reserve a place for one event; None if it should be claimed later."""

    def take(self, job: EventJob) -> None:
        """Begin the work that a place was reserved for."""

    def free(self, asset_host: str) -> None:
        """Free the place: there is no such event, or someone else has it."""


class DeliveryTaker(Protocol):
    """Takes over deliveries of one destination. Called on the event loop."""

    def reserve(self) -> Hold | None:
        """Reserve a place for one delivery; None if it should be claimed later."""

    def take(self, job: DeliveryJob) -> None:
        """Begin the work that a place was reserved for."""

    def free(self) -> None:
        """Free the place: there is no such delivery."""


@dataclass(slots=True)
class Handover:
    """Who takes over work in this process. Without takers, all work waits to be claimed."""

    _events: list[tuple[Sources, EventTaker]] = field(default_factory=list)
    _deliveries: dict[str, DeliveryTaker] = field(default_factory=dict)

    @contextmanager
    def of_events(self, taker: EventTaker, sources: Sources = ALL_SOURCES) -> Iterator[None]:
        """Offer the events of *sources* to *taker* within the block."""
        self._events.append((sources, taker))
        try:
            yield
        finally:
            self._events.remove((sources, taker))

    @contextmanager
    def of_deliveries(self, destination: str, taker: DeliveryTaker) -> Iterator[None]:
        """Offer the deliveries of *destination* to *taker* within the block."""
        self._deliveries[destination] = taker
        try:
            yield
        finally:
            del self._deliveries[destination]

    def event_place(self, source: str, asset_host: str) -> "tuple[EventTaker, Hold] | None":
        """Reserve a place for one event with a worker that has room."""
        for sources, taker in self._events:
            if source in sources and (hold := taker.reserve(asset_host)):
                return taker, hold
        return None

    def delivery_places(self) -> "Places":
        """Reserve a place for one delivery at every destination that has room."""
        found = {name: (taker, taker.reserve()) for name, taker in self._deliveries.items()}
        return Places({name: (taker, hold) for name, (taker, hold) in found.items() if hold})

    def places_of(self, most: int) -> "Iterator[Places]":
        """Reserve places for the deliveries of up to *most* events, while anyone has room."""
        for _ in range(most):
            if not (places := self.delivery_places()).kept:
                return
            yield places


@dataclass(frozen=True, slots=True)
class Places:
    """One reserved place for a delivery, at each of some destinations."""

    kept: Mapping[str, tuple[DeliveryTaker, Hold]]
    """By destination: who takes the delivery, and the lease it is written under."""

    def leases(self) -> list[str]:
        """Return the leases that the deliveries would be written under."""
        return [hold.lease for _, hold in self.kept.values()]

    def fill(self, jobs: Mapping[str, DeliveryJob]) -> None:
        """Hand *jobs* over, by destination, and free all other places."""
        for name, (taker, _) in self.kept.items():
            if name in jobs:
                taker.take(jobs[name])
            else:
                taker.free()


NO_PLACES = Places({})
