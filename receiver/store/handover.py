"""Handing work on within a process, straight from the transaction that made it.

Looking for work in the tables again is for backlogs, retries and what other processes made. What is handed
over was written under a lease from the start: after a crash it is due once that lease ends.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from receiver.store.claim import ALL_SOURCES, DeliveryJob, EventJob, Sources


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
