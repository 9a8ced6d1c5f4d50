"""Settles claimed work: many results at a time, each only while its lease is valid.

If a lease was lost, another worker has the work now, and nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, update

from receiver.events import Event, normalize
from receiver.store.assets import asset_row
from receiver.store.claim import Claim, event_jobs, lock_without_asset, take
from receiver.store.fanout import FanOut, Made
from receiver.store.jobs import EventJob, Key, Places
from receiver.store.late import LateArrived, remove
from receiver.store.record import EVENT_KEY, event_row
from receiver.store.removals import announced, is_its_own
from receiver.store.rows import change, insert_new
from receiver.store.setbacks import Setback, write_setbacks
from receiver.store.settlements import Closed, Closing, DeliveryConfirmed, Due, EventSettled, Search
from receiver.store.tables import ASSET, DELIVERED, DELIVERY, EVENT, LATE_ASSET, SETTLED

_SETTLED: Final = {"state": SETTLED, "lease": None, "last_error": None, "kept_by": None}
_INSERT_ASSETS: Final = ASSET.insert()


def settle_and_claim(
    connection: Connection, batch: Sequence[Closing | Search], *, fan_out: FanOut
) -> list[Closed | Due]:
    """Settle finished work and find the next; return the outcome of each item of *batch*, in order."""
    # Finding comes first, because settled deliveries are locked last: see `settle`.
    found = [
        _settle_due(connection, one.claim, one.places, fan_out) for one in batch if isinstance(one, Search)
    ]
    closed = settle(connection, [one for one in batch if isinstance(one, Closing)], fan_out=fan_out)
    searches, closings = iter(found), iter(closed)
    return [next(searches) if isinstance(one, Search) else next(closings) for one in batch]


def _settle_due(connection: Connection, claim: Claim, places: Sequence[Places], fan_out: FanOut) -> Due:
    """Settle due events without an asset; claim those that should have one, or cannot be read.

    The first events get the *places*.
    """
    jobs = event_jobs(lock_without_asset(connection, claim), claim)
    settled: list[EventJob] = []
    claimed: list[EventJob] = []
    for job in jobs:
        (settled if _has_no_asset(job) else claimed).append(job)
    take(connection, EVENT, ("id",), [(job.id,) for job in claimed], claim)
    kept = {job.id: place for job, place in zip(settled, places, strict=False)}
    # They are locked, and nobody has a lease on them.
    change(connection, EVENT, ("id",), [(job.id,) for job in settled], _SETTLED | {"due_ms": claim.now_ms})
    made = _complete(connection, [EventSettled(job, None, claim.now_ms) for job in settled], fan_out, kept)
    return Due(settled, claimed, [made[job.id] for job in settled])


def _has_no_asset(job: EventJob) -> bool:
    event = normalize(job.body, source=job.source)
    return isinstance(event, Event) and not event.expects_asset


def settle(connection: Connection, closings: Sequence[Closing], *, fan_out: FanOut) -> list[Closed]:
    """Write the results of claimed work; return, in order, what was written."""
    settlements = [one.settlement for one in closings]
    made = _settle_events(connection, closings, fan_out)
    written = {(id_, "") for id_ in made}
    # Before any delivery is locked. Attribution locks a delivery's submission first, and so does this.
    arrivals = [one for one in settlements if isinstance(one, LateArrived)]
    written |= {one.job.key for one in arrivals if _arrive(connection, one, fan_out)}
    written |= _confirm(connection, [one for one in settlements if isinstance(one, DeliveryConfirmed)])
    setbacks = [
        one
        for one in settlements
        if isinstance(one, Setback) or (isinstance(one, EventSettled) and one.attempt)
    ]
    if setbacks:
        written |= write_setbacks(connection, setbacks, written)
    return [
        Closed(one.job.key in written, made.get(one.job.id) if isinstance(one, EventSettled) else None)
        for one in settlements
    ]


def _settle_events(connection: Connection, closings: Sequence[Closing], fan_out: FanOut) -> dict[str, Made]:
    settled = [one.settlement for one in closings if isinstance(one.settlement, EventSettled)]
    if not settled:
        return {}
    places = {
        one.settlement.job.id: one.places for one in closings if isinstance(one.settlement, EventSettled)
    }
    lost = _being_removed(connection, settled)
    held_by = [(one.job.id, one.job.lease) for one in settled if one.job.id not in lost]
    if not held_by:
        return {}
    done = _SETTLED | {"due_ms": settled[0].now_ms}
    ids = {id_ for (id_,) in change(connection, EVENT, ("id", "lease"), held_by, done)}
    return _complete(connection, [one for one in settled if one.job.id in ids], fan_out, places)


def _being_removed(connection: Connection, settled: Sequence[EventSettled | LateArrived]) -> set[str]:
    """Return those whose file is being removed for another event: the next attempt uploads it again."""
    urls = {one.job.id: one.asset.url for one in settled if one.asset is not None and one.asset.url}
    ids = {one.job.id: (one.job.id, one.job.generation_id) for one in settled}
    shareable = {url for id_, url in urls.items() if not is_its_own(url, ids[id_])}
    if not shareable:
        return set()
    gone = announced(connection, shareable, now_ms=max(one.now_ms for one in settled))
    return {id_ for id_, url in urls.items() if url in gone}


def _complete(
    connection: Connection, held: Sequence[EventSettled], fan_out: FanOut, places: Mapping[str, Places]
) -> dict[str, Made]:
    """Write what belongs to settled events: assets, late assets and deliveries."""
    if not held:
        return {}
    assets = [asset_row(one.job.id, one.asset, settled_ms=one.now_ms) for one in held if one.asset]
    if assets:
        connection.execute(_INSERT_ASSETS, assets)
    retried = [
        {
            "event_id": one.job.id,
            "until_ms": one.asset.retried_until_ms,
            "due_ms": one.retry_ms,
            "attempts": 0,
        }
        for one in held
        if one.asset and one.retry_ms is not None
    ]
    if retried:
        connection.execute(LATE_ASSET.insert(), retried)
    return fan_out(connection, [(one.job, one.asset) for one in held], places, now_ms=held[0].now_ms)


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
        fan_out(connection, [(follow_up, asset)], {}, now_ms=now_ms)
    return True


def _confirm(connection: Connection, confirmed: Sequence[DeliveryConfirmed]) -> set[Key]:
    if not confirmed:
        return set()
    held_by = [(one.job.event_id, one.job.destination, one.job.lease) for one in confirmed]
    now_ms = confirmed[0].now_ms
    done = {"state": DELIVERED, "due_ms": now_ms, "settled_ms": now_ms, "lease": None, "last_error": None}
    rows = change(connection, DELIVERY, ("event_id", "destination", "lease"), held_by, done)
    return {(event_id, destination) for event_id, destination in rows}
