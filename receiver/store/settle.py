"""Settling claimed work: many results at a time, each only while its lease still holds.

Where a lease was lost, another worker has the work now and nothing is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from sqlalchemy import Connection, and_, bindparam, delete, update

from receiver.events import Asset
from receiver.outcomes import FailedAttempt
from receiver.store.assets import asset_row
from receiver.store.attempts import LATE_FILE, keep_failures
from receiver.store.attribution import attribute
from receiver.store.claim import DeliveryJob, EventJob, LateJob
from receiver.store.engine import wake_others
from receiver.store.fanout import Candidate, FanOut, Made
from receiver.store.handover import NO_PLACES, Places
from receiver.store.insert import insert_new
from receiver.store.late import LateArrived, LateGivenUp, LatePostponed, LateSettlement, postpone, remove
from receiver.store.matching import change
from receiver.store.record import EVENT_KEY, event_row
from receiver.store.removals import announced, is_its_own
from receiver.store.tables import ASSET, DEAD, DELIVERED, DELIVERY, EVENT, LATE_ASSET, PENDING, SETTLED
from receiver.store.wake import FORWARD


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

_MAY_FAIL: Final = (
    *(EventSettled, EventPostponed, DeliveryPostponed, DeliveryDead),
    *(LatePostponed, LateGivenUp),
)
_MAX_ERROR_CHARS: Final = 1_000
_SETTLED: Final = {"state": SETTLED, "lease": None, "last_error": None, "kept_by": None}
_INSERT_ASSETS: Final = ASSET.insert()

_Kind = TypeVar("_Kind")
_Key = tuple[str, str]


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


def settle(connection: Connection, closings: Sequence[Closing], *, fan_out: FanOut) -> list[Closed]:
    """Write what came of claimed work, and say for each, in order, what was written."""
    settlements = [one.settlement for one in closings]
    places = {
        one.settlement.job.id: one.places for one in closings if isinstance(one.settlement, EventSettled)
    }
    made = _settle_events(connection, _only(EventSettled, settlements), fan_out, places)
    written = {(id_, "") for id_ in made}
    # Before any delivery is locked: who attributes a delivery locks its submission first, and so do these.
    arrivals = _only(LateArrived, settlements)
    written |= {_key(one.job) for one in arrivals if _arrive(connection, one, fan_out)}
    written |= _confirm(connection, _only(DeliveryConfirmed, settlements))
    written |= {_key(one.job) for one in settlements if _settle_one(connection, one)}
    keep_failures(connection, _failures(settlements, written))
    return [
        Closed(_key(one.job) in written, made.get(one.job.id) if isinstance(one, EventSettled) else None)
        for one in settlements
    ]


def _settle_one(connection: Connection, settlement: Settlement) -> bool:
    """Write what is not written for many at once; False if the lease was lost, and for what is."""
    match settlement:
        case EventPostponed():
            held = _postpone_event(connection, settlement)
        case EventKept(job, spool):
            held = _note_kept(connection, job, spool)
        case DeliveryPostponed(job, due_ms, error, parked=parked):
            held = _close(connection, job, PENDING, due_ms, error, given_back=int(parked))
        case DeliveryDead(job, now_ms, error):
            held = _close(connection, job, DEAD, now_ms, error)
        case DeliveryUnwanted(job):
            held = _remove(connection, job)
        case LatePostponed(job, due_ms, error):
            held = postpone(connection, job, due_ms, _clean(error))
        case LateGivenUp(job):
            held = remove(connection, job)
        case EventSettled() | LateArrived() | DeliveryConfirmed():
            held = False
    return held


def _settle_events(
    connection: Connection,
    settled: Sequence[EventSettled],
    fan_out: FanOut,
    places: Mapping[str, Places],
) -> dict[str, Made]:
    if not settled:
        return {}
    lost = _being_removed(connection, settled)
    held_by = [(one.job.id, one.job.lease) for one in settled if one.job.id not in lost]
    if not held_by:
        return {}
    done = _SETTLED | {"due_ms": settled[0].now_ms}
    ids = {id_ for (id_,) in change(connection, EVENT, ("id", "lease"), held_by, done)}
    return _complete(connection, [one for one in settled if one.job.id in ids], fan_out, places)


def _being_removed(connection: Connection, settled: Sequence[EventSettled | LateArrived]) -> set[str]:
    """Return whose file is being removed as another's: the next attempt uploads it once more."""
    urls = {one.job.id: one.asset.url for one in settled if one.asset is not None and one.asset.url}
    ids = {one.job.id: (one.job.id, one.job.generation_id) for one in settled}
    shareable = {url for id_, url in urls.items() if not is_its_own(url, ids[id_])}
    if not shareable:
        return set()
    gone = announced(connection, shareable, now_ms=max(one.now_ms for one in settled))
    return {id_ for id_, url in urls.items() if url in gone}


def settle_locked(
    connection: Connection,
    settled: Sequence[EventSettled],
    fan_out: FanOut,
    places: Mapping[str, Places],
) -> dict[str, Made]:
    """Settle events that this transaction has locked while they were due, and that nobody holds."""
    if settled:
        done = _SETTLED | {"due_ms": settled[0].now_ms}
        change(connection, EVENT, ("id",), [(one.job.id,) for one in settled], done)
    return _complete(connection, settled, fan_out, places)


def _complete(
    connection: Connection,
    held: Sequence[EventSettled],
    fan_out: FanOut,
    places: Mapping[str, Places],
) -> dict[str, Made]:
    """Write what belongs to settled events: assets, late assets and deliveries."""
    assets = [asset_row(one.job.id, one.asset, settled_ms=one.now_ms) for one in held if one.asset]
    if assets:
        connection.execute(_INSERT_ASSETS, assets)
    _try_on(connection, held)
    return _deliver(connection, held, fan_out, places)


def _deliver(
    connection: Connection,
    settled: Sequence[EventSettled],
    fan_out: FanOut,
    places: Mapping[str, Places],
) -> dict[str, Made]:
    """Make the deliveries of events that were just settled."""
    if not settled:
        return {}
    attributions = attribute(connection, [one.job for one in settled], now_ms=settled[0].now_ms)
    candidates = [Candidate(one.job, one.asset, attributions[one.job.id]) for one in settled]
    made = fan_out(connection, candidates, places)
    if any(one.is_left for one in made.values()):
        wake_others(connection, FORWARD)
    return made


def _try_on(connection: Connection, settled: Sequence[EventSettled]) -> None:
    """Queue the assets that are still retried."""
    rows = [
        {
            "event_id": one.job.id,
            "until_ms": one.asset.retried_until_ms,
            "due_ms": one.retry_ms,
            "attempts": 0,
        }
        for one in settled
        if one.asset and one.retry_ms is not None
    ]
    if rows:
        connection.execute(LATE_ASSET.insert(), rows)


def _arrive(connection: Connection, arrived: LateArrived, fan_out: FanOut) -> bool:
    """Write the asset and its follow-up, once; False if the lease was lost."""
    if _being_removed(connection, [arrived]) or not remove(connection, arrived.job):
        return False
    event, asset, now_ms = arrived.event, arrived.asset, arrived.now_ms
    mirrored = asset_row(arrived.job.id, asset, settled_ms=now_ms)
    connection.execute(update(ASSET).where(ASSET.c.event_id == arrived.job.id).values(mirrored))
    if insert_new(connection, EVENT, EVENT_KEY, [event_row(event, SETTLED)]):
        connection.execute(_INSERT_ASSETS, [asset_row(event.id, asset, settled_ms=now_ms)])
        follow_up = replace(arrived.job, id=event.id, body=event.body, received_ms=event.received_ms)
        _deliver(connection, [EventSettled(follow_up, asset, now_ms)], fan_out, {})
    return True


def _confirm(connection: Connection, confirmed: Sequence[DeliveryConfirmed]) -> set[_Key]:
    if not confirmed:
        return set()
    held_by = [(one.job.event_id, one.job.destination, one.job.lease) for one in confirmed]
    now_ms = confirmed[0].now_ms
    done = {"state": DELIVERED, "due_ms": now_ms, "settled_ms": now_ms, "lease": None, "last_error": None}
    rows = change(connection, DELIVERY, ("event_id", "destination", "lease"), held_by, done)
    return {(event_id, destination) for event_id, destination in rows}


_POSTPONE_EVENT: Final = (
    update(EVENT)
    .where(EVENT.c.id == bindparam("job"), EVENT.c.lease == bindparam("held"))
    .values(
        due_ms=bindparam("due"),
        last_error=bindparam("error"),
        kept_by=bindparam("spool"),
        attempts=EVENT.c.attempts - bindparam("given_back"),
        lease=None,
    )
)
_KEEP_EVENT: Final = (
    update(EVENT)
    .where(EVENT.c.id == bindparam("job"), EVENT.c.lease == bindparam("held"))
    .values(kept_by=bindparam("spool"))
)
_CLOSE_DELIVERY: Final = (
    update(DELIVERY)
    .where(
        DELIVERY.c.event_id == bindparam("job"),
        DELIVERY.c.destination == bindparam("where"),
        DELIVERY.c.lease == bindparam("held"),
    )
    .values(
        state=bindparam("to"),
        due_ms=bindparam("due"),
        settled_ms=bindparam("settled"),
        last_error=bindparam("error"),
        attempts=DELIVERY.c.attempts - bindparam("given_back"),
        lease=None,
    )
)


def _postpone_event(connection: Connection, postponed: EventPostponed) -> bool:
    values = {
        "job": postponed.job.id,
        "held": postponed.job.lease,
        "due": postponed.due_ms,
        "error": _clean(postponed.error),
        "spool": postponed.kept_by,
        "given_back": int(postponed.parked),
    }
    return connection.execute(_POSTPONE_EVENT, values).rowcount > 0


def _note_kept(connection: Connection, job: EventJob, spool: str) -> bool:
    values = {"job": job.id, "held": job.lease, "spool": spool}
    return connection.execute(_KEEP_EVENT, values).rowcount > 0


def _remove(connection: Connection, job: DeliveryJob) -> bool:
    held = and_(
        DELIVERY.c.event_id == job.event_id,
        DELIVERY.c.destination == job.destination,
        DELIVERY.c.lease == job.lease,
    )
    return connection.execute(delete(DELIVERY).where(held)).rowcount > 0


def _close(
    connection: Connection, job: DeliveryJob, state: str, due_ms: int, error: str, *, given_back: int = 0
) -> bool:
    values = {
        "job": job.event_id,
        "where": job.destination,
        "held": job.lease,
        "to": state,
        "due": due_ms,
        "settled": due_ms if state == DEAD else None,
        "error": _clean(error),
        "given_back": given_back,
    }
    return connection.execute(_CLOSE_DELIVERY, values).rowcount > 0


def _clean(error: str) -> str:
    """Return *error* as any database takes it: no NUL, no lone surrogate, bounded."""
    return error.encode("utf-8", "replace").decode().replace("\0", "")[:_MAX_ERROR_CHARS]


def _failures(settlements: Iterable[Settlement], written: set[_Key]) -> dict[_Key, tuple[int, FailedAttempt]]:
    """Return what failed among what was written, with the number of its attempt."""
    return {
        key: (one.job.attempts, one.attempt)
        for one in settlements
        if isinstance(one, _MAY_FAIL) and one.attempt and (key := _key(one.job)) in written
    }


def _only(kind: type[_Kind], settlements: Iterable[object]) -> list[_Kind]:
    return [settlement for settlement in settlements if isinstance(settlement, kind)]


def _key(job: EventJob | DeliveryJob) -> _Key:
    match job:
        case LateJob():
            return job.id, LATE_FILE
        case EventJob():
            return job.id, ""
        case DeliveryJob():
            return job.event_id, job.destination
