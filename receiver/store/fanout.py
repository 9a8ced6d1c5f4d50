"""Fan-out: which destinations a settled event goes to, decided in the transaction that settles it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection

from receiver.events import Asset
from receiver.store.attribution import Attribution
from receiver.store.claim import EventJob
from receiver.store.engine import insert_into
from receiver.store.tables import DELIVERY, PENDING
from receiver.telemetry import metrics

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A settled event, with everything that its message is made of."""

    job: EventJob
    asset: Asset | None
    attribution: Attribution

    @property
    def submission(self) -> Mapping[str, object] | None:
        """What the message says of the submission that the event answers."""
        told = self.attribution.submission
        return orjson.loads(told) if told else None


Route = Callable[[Candidate, Sequence[str]], Sequence[str]]
"""Says which of the named destinations a settled event goes to. Runs within a transaction: it never raises,
waits for nothing, and gives the same answer to the same question. While the attribution is `held`, it takes
every destination whose answer depends on the submission."""


def everywhere(_candidate: Candidate, names: Sequence[str]) -> Sequence[str]:
    """Route every event to every destination."""
    return names


@dataclass(frozen=True, slots=True)
class FanOut:
    """Makes the deliveries of settled events."""

    destinations: Sequence[str]
    route: Route

    def __call__(self, connection: Connection, candidates: Sequence[Candidate]) -> None:
        """Make one delivery of each event for each destination that wants it and has none of it yet."""
        if not self.destinations:
            return
        rows = []
        for candidate in sorted(candidates, key=lambda one: one.job.id):
            names = self.route(candidate, self.destinations)
            rows += [delivery_row(candidate, name, candidate.attribution.due_ms) for name in names]
            if not names:
                _report_unrouted(candidate.job)
        if rows:
            connection.execute(insert_into(DELIVERY, connection.dialect).on_conflict_do_nothing(), rows)


def delivery_row(candidate: Candidate, destination: str, due_ms: int) -> dict[str, Any]:
    """Return the row of a delivery that was not attempted yet."""
    return {
        "event_id": candidate.job.id,
        "destination": destination,
        "state": PENDING,
        "due_ms": due_ms,
        "attempts": 0,
        "submission": candidate.attribution.submission,
        "undecided": candidate.attribution.held,
    }


def _report_unrouted(job: EventJob) -> None:
    metrics.UNROUTED.labels(job.source).inc()
    log.info("unrouted", event_id=job.id, generation_id=job.generation_id, source=job.source)
