"""What may come of claimed work, and what is said of it once it is written."""

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
    """The asset's fate is known: *asset*, or None where the event has none. Its deliveries become due."""

    job: EventJob
    asset: Asset | None
    now_ms: int
    retry_ms: int | None = None
    """When a failed asset is retried, if it is: until its `retried_until_ms`."""
    attempt: FailedAttempt | None = field(default=None, compare=False)
    """What is kept of the attempt, for people to see."""


@dataclass(frozen=True, slots=True)
class EventPostponed:
    """The asset is to be tried again at *due_ms*."""

    job: EventJob
    due_ms: int
    error: str
    kept_by: str | None = None
    """The spool folder that has its download."""
    parked: bool = False
    """Whether the attempt is given back, because bucket or host as a whole do not work."""
    attempt: FailedAttempt | None = field(default=None, compare=False)
    """What is kept of the attempt, for people to see."""


@dataclass(frozen=True, slots=True)
class EventKept:
    """The asset is downloaded: from here on *spool* has it, whatever becomes of this attempt."""

    job: EventJob
    spool: str


@dataclass(frozen=True, slots=True)
class DeliveryConfirmed:
    """The destination has the message."""

    job: DeliveryJob
    now_ms: int
    receipt: str = ""
    """What the destination calls it; goes into the log, not into the store."""


@dataclass(frozen=True, slots=True)
class DeliveryPostponed:
    """The delivery is to be tried again at *due_ms*."""

    job: DeliveryJob
    due_ms: int
    error: str
    parked: bool = False
    """Whether the attempt is given back, because the destination as a whole did not work."""
    attempt: FailedAttempt | None = field(default=None, compare=False)
    """What is kept of the attempt, for people to see."""


@dataclass(frozen=True, slots=True)
class DeliveryUnwanted:
    """The destination's filter does not hold, now that all is known: there is no such delivery."""

    job: DeliveryJob


@dataclass(frozen=True, slots=True)
class DeliveryDead:
    """The delivery is given up and becomes a dead letter."""

    job: DeliveryJob
    now_ms: int
    error: str
    attempt: FailedAttempt | None = field(default=None, compare=False)
    """What is kept of the attempt, for people to see."""


ForwardSettlement = DeliveryConfirmed | DeliveryPostponed | DeliveryUnwanted | DeliveryDead
Settlement = EventSettled | EventPostponed | EventKept | ForwardSettlement | LateSettlement


@dataclass(frozen=True, slots=True)
class Closing:
    """What came of claimed work, and places for the deliveries that it makes."""

    settlement: Settlement
    places: Places = NO_PLACES


@dataclass(frozen=True, slots=True)
class Closed:
    """What was committed of a closing."""

    held: bool
    """Whether the lease still held; nothing was written otherwise."""
    made: Made | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """The outcome of due events that have no file to fetch."""

    settled: Sequence[EventJob] = ()
    claimed: Sequence[EventJob] = ()
    """Events whose asset cannot be had, or that cannot be read: their fate is for the mirror to say."""
    made: Sequence[Made] = field(default=(), repr=False)
    """The deliveries of those that are settled, in order."""


@dataclass(frozen=True, slots=True)
class Search:
    """A claim on due events without an asset, and places for their deliveries."""

    claim: Claim
    places: Sequence[Places]
