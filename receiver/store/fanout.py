"""Fan-out: where a settled event goes, decided in the transaction that settles it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Connection, select

from receiver.events import Asset
from receiver.store.attribution import Attribution, attribute
from receiver.store.engine import execute, wake_others
from receiver.store.jobs import NO_PLACES, DeliveryJob, EventJob, Hold, Places
from receiver.store.rows import insert_new
from receiver.store.tables import DELIVERY, DESTINATION_STATE, PENDING
from receiver.store.wake import FORWARD
from receiver.telemetry.logger import Logger

_KEY: Final = ("event_id", "destination")
_PAUSED: Final = f"SELECT name FROM {DESTINATION_STATE.name} WHERE paused_ms IS NOT NULL"  # noqa: S608  our own name

log = Logger()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A settled event, with everything that goes into its message."""

    job: EventJob
    asset: Asset | None
    attribution: Attribution

    @property
    def submission(self) -> Mapping[str, object] | None:
        """What the message says about the submission that the event answers."""
        text = self.attribution.submission
        return orjson.loads(text) if text else None


Route = Callable[[Candidate, Sequence[str]], Sequence[str]]
"""Returns which of the named destinations a settled event goes to.

Runs within a transaction: it never raises, waits for nothing, and always gives the same answer to the same
question. While the attribution is `held`, it includes every destination whose answer depends on the
submission.
"""


def everywhere(_candidate: Candidate, names: Sequence[str]) -> Sequence[str]:
    """Route every event to every destination."""
    return names


@dataclass(frozen=True, slots=True)
class Made:
    """The deliveries made for one event."""

    jobs: Mapping[str, DeliveryJob]
    """Those already begun, by destination."""
    is_left: bool
    """Whether others are left to be claimed."""


class FanOut:
    """Makes the deliveries of settled events."""

    def __init__(self, destinations: Sequence[str], route: Route) -> None:
        self._plan = destinations, route

    def change(self, destinations: Sequence[str], route: Route) -> None:
        """Use these rules from the next transaction on. Each running one uses one set, old or new."""
        self._plan = destinations, route

    def __call__(
        self,
        connection: Connection,
        settled: Sequence[tuple[EventJob, Asset | None]],
        places: Mapping[str, Places],
        *,
        now_ms: int,
    ) -> dict[str, Made]:
        """Make a delivery of each event for each destination that wants it and has none yet.

        Deliveries with a place in *places*, by event id, are written as already begun. For the others,
        workers on other machines are woken.
        """
        destinations, route = self._plan
        attributions = attribute(connection, [job for job, _ in settled], now_ms=now_ms)
        paused: set[str] = set()
        if any(one.kept for one in places.values()):
            paused = {name for (name,) in execute(connection, _PAUSED)}
        rows = []
        made = {}
        for job, asset in sorted(settled, key=lambda one: one[0].id):
            candidate = Candidate(job, asset, attributions[job.id])
            names = route(candidate, destinations)
            if not names and destinations:
                _report_unrouted(job)
            kept = {} if candidate.attribution.held else places.get(job.id, NO_PLACES).kept
            holds = {name: kept[name][1] for name in names if name in kept and name not in paused}
            rows += [
                delivery_row(candidate, name, candidate.attribution.due_ms, holds.get(name)) for name in names
            ]
            jobs = {name: _job(candidate, name, hold) for name, hold in holds.items()}
            made[job.id] = Made(jobs, len(jobs) < len(names))
        if rows and insert_new(connection, DELIVERY, _KEY, rows) < len(rows):
            made = {id_: _only_ours(connection, id_, one) for id_, one in made.items()}
        if any(one.is_left for one in made.values()):
            wake_others(connection, FORWARD)
        return made


NOWHERE: Final = FanOut((), everywhere)
"""Makes no deliveries."""


def _only_ours(connection: Connection, event_id: str, made: Made) -> Made:
    """Leave out deliveries that existed before."""
    rows = connection.execute(
        select(DELIVERY.c.destination, DELIVERY.c.lease).where(DELIVERY.c.event_id == event_id)
    )
    leases = {row.destination: row.lease for row in rows}
    return Made({name: job for name, job in made.jobs.items() if leases.get(name) == job.lease}, is_left=True)


def _job(candidate: Candidate, destination: str, hold: Hold) -> DeliveryJob:
    job = candidate.job
    return DeliveryJob(
        event_id=job.id,
        destination=destination,
        source=job.source,
        generation_id=job.generation_id,
        body=job.body,
        received_ms=job.received_ms,
        asset=candidate.asset,
        attempts=1,
        lease=hold.lease,
        submission=candidate.submission,
    )


def delivery_row(
    candidate: Candidate, destination: str, due_ms: int, hold: Hold | None = None
) -> dict[str, Any]:
    """Return the row of a new delivery, or of one already begun under *hold*."""
    return {
        "event_id": candidate.job.id,
        "destination": destination,
        "state": PENDING,
        "due_ms": hold.until_ms if hold else due_ms,
        "lease": hold.lease if hold else None,
        "attempts": 1 if hold else 0,
        "submission": candidate.attribution.submission,
        "undecided": candidate.attribution.held,
    }


def _report_unrouted(job: EventJob) -> None:
    from receiver.telemetry import metrics  # noqa: PLC0415  prometheus_client is slow to import

    metrics.UNROUTED.labels(job.source).inc()
    log.info("unrouted", event_id=job.id, generation_id=job.generation_id, source=job.source)
