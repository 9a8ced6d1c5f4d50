"""The possible results of claimed work, and what is reported once they are written."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from receiver.events import Asset
from receiver.outcomes import FailedAttempt
from receiver.store.claim import Claim
from receiver.store.fanout import Made
from receiver.store.jobs import NO_PLACES, DeliveryJob, EventJob, Places
from receiver.store.late import LateSettlement


@dataclass(frozen=True, slots=True)
class EventSettled:
    """The asset's result is known: *asset*, or None if the event has none. Its deliveries become due."""

    job: EventJob
    asset: Asset | None
    now_ms: int
    retry_ms: int | None = None
    """When a failed asset is retried, if at all: until its `retried_until_ms`."""
    attempt: FailedAttempt | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class EventPostponed:
    """The asset is tried again at *due_ms*."""

    job: EventJob
    due_ms: int
    error: str
    kept_by: str | None = None
    """The spool folder with its download."""
    parked: bool = False
    """Whether the attempt is given back, because the whole bucket or host is down."""
    attempt: FailedAttempt | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class EventKept:
    """The asset is downloaded: *spool* has it from now on, whatever becomes of this attempt."""

    job: EventJob
    spool: str


@dataclass(frozen=True, slots=True)
class DeliveryConfirmed:
    """The destination has the message."""

    job: DeliveryJob
    now_ms: int
    receipt: str = ""
    """What the destination calls it; logged, not stored."""


@dataclass(frozen=True, slots=True)
class DeliveryPostponed:
    """The delivery is tried again at *due_ms*."""

    job: DeliveryJob
    due_ms: int
    error: str
    parked: bool = False
    """Whether the attempt is given back, because the whole destination is down."""
    attempt: FailedAttempt | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class DeliveryUnwanted:
    """The destination's filter rejects it, now that everything is known: there is no such delivery."""

    job: DeliveryJob


@dataclass(frozen=True, slots=True)
class DeliveryDead:
    """The delivery is given up and becomes a dead letter."""

    job: DeliveryJob
    now_ms: int
    error: str
    attempt: FailedAttempt | None = field(default=None, compare=False)


ForwardSettlement = DeliveryConfirmed | DeliveryPostponed | DeliveryUnwanted | DeliveryDead
Settlement = EventSettled | EventPostponed | EventKept | ForwardSettlement | LateSettlement


@dataclass(frozen=True, slots=True)
class Closing:
    """The result of claimed work, and places for the deliveries it creates."""

    settlement: Settlement
    places: Places = NO_PLACES


@dataclass(frozen=True, slots=True)
class Closed:
    """What was committed for a closing."""

    held: bool
    """Whether the lease was still valid; otherwise nothing was written."""
    made: Made | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """The result for due events that have no file to fetch."""

    settled: Sequence[EventJob] = ()
    claimed: Sequence[EventJob] = ()
    """Events whose asset cannot be fetched, or that cannot be read: the mirror decides about them."""
    made: Sequence[Made] = field(default=(), repr=False)
    """The deliveries of the settled ones, in order."""


@dataclass(frozen=True, slots=True)
class Search:
    """A claim on due events without an asset, and places for their deliveries."""

    claim: Claim
    places: Sequence[Places]
