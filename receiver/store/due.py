"""Settling what is due and has no asset, in the very transaction that finds it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from receiver.events import Event, normalize
from receiver.store.claim import Claim, EventJob, event_jobs, lock_without_asset, take
from receiver.store.fanout import FanOut, Made
from receiver.store.handover import Places
from receiver.store.settle import Closed, Closing, EventSettled, settle, settle_locked
from receiver.store.tables import EVENT


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


def settle_and_claim(
    connection: Connection, batch: Sequence[Closing | Search], *, fan_out: FanOut
) -> list[Closed | Due]:
    """Settle what is done and find what is next; say for each of *batch*, in order, what came of it."""
    # Found first, as settled deliveries are locked last: see `settle`.
    found = [
        settle_due(connection, one.claim, places=one.places, fan_out=fan_out)
        for one in batch
        if isinstance(one, Search)
    ]
    closed = settle(connection, [one for one in batch if isinstance(one, Closing)], fan_out=fan_out)
    searches, closings = iter(found), iter(closed)
    return [next(searches) if isinstance(one, Search) else next(closings) for one in batch]


def settle_due(connection: Connection, claim: Claim, *, places: Sequence[Places], fan_out: FanOut) -> Due:
    """Settle due events without an asset; claim those that an asset is expected of.

    The first events get the *places*.
    """
    jobs = event_jobs(lock_without_asset(connection, claim), claim)
    settled: list[EventJob] = []
    claimed: list[EventJob] = []
    for job in jobs:
        (settled if _has_no_asset(job) else claimed).append(job)
    take(connection, EVENT, ("id",), [(job.id,) for job in claimed], claim)
    kept = {job.id: place for job, place in zip(settled, places, strict=False)}
    made = settle_locked(
        connection, [EventSettled(job, None, claim.now_ms) for job in settled], fan_out, kept
    )
    return Due(settled, claimed, [made[job.id] for job in settled])


def _has_no_asset(job: EventJob) -> bool:
    event = normalize(job.body, source=job.source)
    return isinstance(event, Event) and not event.expects_asset
