"""Jobs: work that one worker has, by a claim or handed over in this process by the transaction that made it.

Looking for work in the tables again is for backlogs, retries and what other processes made. What is handed
over was written under a lease from the start: after a crash it is due once that lease ends.
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
    """The spool folder that has the download of an event."""

    spool: str
    seen_ms: int | None
    """When a worker with that folder was last seen, if ever."""


@dataclass(frozen=True, slots=True)
class EventJob:
    """A claimed event whose asset is to be mirrored."""

    id: str
    source: str
    generation_id: str
    asset_host: str | None
    body: bytes
    received_ms: int
    attempts: int
    """How many attempts were begun, this one included."""
    lease: str
    last_error: str | None = None
    """Why the attempt before was put off."""
    kept_by: Keeper | None = None

    @property
    def key(self) -> Key:
        """What a settlement and its failed attempts go by."""
        return self.id, FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class LateJob(EventJob):
    """A claimed event that went out without its asset, which is still retried."""

    until_ms: int
    """After this no further attempt is made."""

    @property
    def key(self) -> Key:
        """See `EventJob`."""
        return self.id, LATE_FILE


@dataclass(frozen=True, slots=True)
class DeliveryJob:
    """A claimed delivery: an event, its asset's fate, and where it is to go."""

    event_id: str
    destination: str
    source: str
    generation_id: str
    body: bytes
    received_ms: int
    asset: Asset | None
    attempts: int
    """How many attempts were begun, this one included."""
    lease: str
    submission: Mapping[str, object] | None = None
    """What the message says of the submission that the event answers."""
    undecided: bool = False
    """Whether the destination's filter is still to be asked: the submission was not known before."""
    is_first: bool = True
    """Whether it came with its event: the age of what an operator replays or backfills says nothing."""

    @property
    def key(self) -> Key:
        """What its settlement and its failed attempts go by."""
        return self.event_id, self.destination


Job = TypeVar("Job", bound=EventJob)


def event_job(kind: type[Job], row: Any, *, lease: str, attempts: int, **more: Any) -> Job:
    """Return the job of the event that *row* has the columns of, with what its *kind* has *more*."""
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
    """Some of the sources: the one called *only*, or all but those in *without*."""

    only: str | None = None
    without: Collection[str] = ()

    def __contains__(self, source: str) -> bool:
        """Tell whether *source* is one of them."""
        return source == self.only if self.only is not None else source not in self.without

    def condition(self) -> ColumnElement[bool]:
        """Return what is true of their events."""
        if self.only is not None:
            # An expression: SQLite would else read all events of the source that there ever were.
            return EVENT.c.source.concat("") == self.only
        return EVENT.c.source.not_in(self.without) if self.without else true()


ALL_SOURCES: Final = Sources()


@dataclass(frozen=True, slots=True)
class Hold:
    """The lease that work is written under when it is made."""

    lease: str
    until_ms: int
    spool: str | None = None
    """The folder that an event's asset will be downloaded to: noted here, it costs no transaction later."""


class EventTaker(Protocol):
    """Takes events over for mirroring. Called on the event loop."""

    def reserve(self, asset_host: str) -> Hold | None:
        """Keep a place for one event; None where it had better be claimed later."""
        ...

    def take(self, job: EventJob) -> None:
        """Begin the work that a place was kept for."""
        ...

    def free(self, asset_host: str) -> None:
        """Give the place up: there is no such event, or another has it."""
        ...


class DeliveryTaker(Protocol):
    """Takes the deliveries of one destination over. Called on the event loop."""

    def reserve(self) -> Hold | None:
        """Keep a place for one delivery; None where it had better be claimed later."""
        ...

    def take(self, job: DeliveryJob) -> None:
        """Begin the work that a place was kept for."""
        ...

    def free(self) -> None:
        """Give the place up: there is no such delivery."""
        ...


@dataclass(slots=True)
class Handover:
    """Who takes work over in this process. With nobody, all work waits to be claimed."""

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
        """Keep a place for one event with a worker that has room."""
        for sources, taker in self._events:
            if source in sources and (hold := taker.reserve(asset_host)):
                return taker, hold
        return None

    def delivery_places(self) -> "Places":
        """Keep a place for one delivery with every destination that has room."""
        found = {name: (taker, taker.reserve()) for name, taker in self._deliveries.items()}
        return Places({name: (taker, hold) for name, (taker, hold) in found.items() if hold})

    def places_of(self, most: int) -> "Iterator[Places]":
        """Keep places for the deliveries of up to *most* events, while there is room anywhere."""
        for _ in range(most):
            if not (places := self.delivery_places()).kept:
                return
            yield places


@dataclass(frozen=True, slots=True)
class Places:
    """A place for one delivery to each of some destinations."""

    kept: Mapping[str, tuple[DeliveryTaker, Hold]]
    """By destination, who takes the delivery, and what it is to be written under."""

    def leases(self) -> list[str]:
        """Return the names that the deliveries would be written under."""
        return [hold.lease for _, hold in self.kept.values()]

    def fill(self, jobs: Mapping[str, DeliveryJob]) -> None:
        """Hand *jobs* over, by destination, and give up all other places."""
        for name, (taker, _) in self.kept.items():
            if name in jobs:
                taker.take(jobs[name])
            else:
                taker.free()


NO_PLACES = Places({})
