"""And here: from an event whose asset is settled to a message in every queue.

    Forward: read → envelope → send → settle

It takes claimed work and returns what to write about it; it does not touch the store.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Final, assert_never

import structlog

from receiver import tracing
from receiver.backoff import Backoff
from receiver.destinations import Destination, Message
from receiver.events import OPERATOR, SOURCE_PREFIX, TYPE_PREFIX, Event, envelope, reread
from receiver.expressions import NotApplicable
from receiver.outcomes import Delivered, FailedAttempt, GivenUp, Judged, Outcome, Parked, Retry
from receiver.routing import EVERYTHING, Routing
from receiver.store.jobs import DeliveryJob
from receiver.store.settlements import DeliveryConfirmed, DeliveryDead, DeliveryPostponed, DeliveryUnwanted
from receiver.telemetry import logs, metrics
from receiver.telemetry.redact import redact

log = structlog.get_logger()

# Cached for each destination and outcome: the lookup costs more than the count.
_forwards: Final = cache(metrics.FORWARDS.labels)
_delay: Final = cache(metrics.DELIVERY_DELAY.labels)

Clock = Callable[[], int]
"""Milliseconds since the epoch."""
Chance = Callable[[], float]
"""A random number in [0, 1)."""
Judge = Callable[[Mapping[str, Outcome]], Mapping[str, Judged]]
"""Park those failures in a batch's outcomes (by event id) that are the destination's fault."""

ForwardResult = DeliveryConfirmed | DeliveryPostponed | DeliveryUnwanted | DeliveryDead


@dataclass(frozen=True, slots=True)
class Unwanted:
    """An undecided delivery is now decided: the destination does not want the message."""


@dataclass(frozen=True, slots=True)
class ForwardRules:
    """How long to try to deliver."""

    backoff: Backoff = field(default_factory=Backoff)
    max_attempts: int = 100
    """With the default backoff about two days; then the delivery is a dead letter."""


def every_failure_counts(outcomes: Mapping[str, Outcome]) -> Mapping[str, Judged]:
    """Count every failure against its message."""
    return outcomes


@dataclass(frozen=True, slots=True)
class Forward:
    """Sends batches to one destination."""

    destination: Destination
    rules: ForwardRules
    clock: Clock
    chance: Chance
    judge: Judge = every_failure_counts
    routing: Routing = EVERYTHING
    system: str = ""
    """The destination's system, by OpenTelemetry's name."""

    async def __call__(self, jobs: Sequence[DeliveryJob]) -> list[ForwardResult]:
        """Send one batch; return the outcome of each job, in order."""
        began_ms = self.clock()
        made = {job.event_id: make_message(job, self.routing) for job in jobs}
        sent = {id_: one for id_, one in made.items() if isinstance(one, Message)}
        unsent = {id_: one for id_, one in made.items() if not isinstance(one, Message)}
        outcomes = await _send(self.destination, list(sent.values()))
        judged = {**unsent, **self.judge(dict(zip(sent, outcomes, strict=True)))}
        now_ms = self.clock()
        results = [self._result(job, judged[job.event_id], began_ms, now_ms) for job in jobs]
        if tracing.is_on():
            for job, result in zip(jobs, results, strict=True):
                self._trace(sent.get(job.event_id), result, began_ms)
        return results

    def _trace(self, message: Message | None, result: ForwardResult, began_ms: int) -> None:
        """Trace the attempt to send *message*, if there was one.

        Source: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
        """
        if message is None or message.traceparent is None:
            return
        job = result.job
        attributes: tracing.Attributes = {
            "messaging.system": self.system,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": job.destination,
            "messaging.message.id": message.id,
            "messaging.message.body.size": len(message.body),
            "cloudevents.event_id": message.id,
            "cloudevents.event_source": SOURCE_PREFIX + message.source,
            "cloudevents.event_type": message.type,
            "receiver.attempt": job.attempts,
        }
        error, why = _failure(result)
        ended = tracing.Ended(f"send {job.destination}", "PRODUCER", began_ms, attributes, error, redact(why))
        tracing.tell(message.generation_id, ended)

    def _result(
        self, job: DeliveryJob, outcome: Judged | Unwanted, began_ms: int, now_ms: int
    ) -> ForwardResult:
        failed = partial(FailedAttempt, began_ms, max(0, now_ms - began_ms))
        match outcome:
            case Delivered(receipt):
                return DeliveryConfirmed(job, now_ms, receipt)
            case Unwanted():
                return DeliveryUnwanted(job)
            case GivenUp(error, said):
                return DeliveryDead(job, now_ms, error, failed(error, said))
            case Retry(error, _, said) if job.attempts >= self.rules.max_attempts:
                why = f"{error} (attempt {job.attempts} of {self.rules.max_attempts})"
                return DeliveryDead(job, now_ms, why, failed(error, said))
            case Retry(error, after_s, said):
                delay_s = max(after_s or 0, self.rules.backoff.delay_s(job.attempts, self.chance()))
                due_ms = now_ms + int(delay_s * 1000)
                return DeliveryPostponed(job, due_ms, error, attempt=failed(error, said))
            case Parked(error, after_s, said):
                due_ms = now_ms + int(after_s * 1000)
                return DeliveryPostponed(job, due_ms, error, parked=True, attempt=failed(error, said))
            case _:
                assert_never(outcome)


def _failure(result: ForwardResult) -> tuple[str | None, str]:
    """Return the metric's word for what went wrong, and a line about it."""
    match result:
        case DeliveryPostponed(error=error, parked=parked):
            return "parked" if parked else "postponed", error
        case DeliveryDead(error=error):
            return "dead", error
        case _:
            return None, ""


def make_message(job: DeliveryJob, routing: Routing) -> Message | Retry | Unwanted:
    """Build the message of a delivery; the next release may read a body that this one cannot."""
    try:
        return message(job, routing)
    except Exception:
        log.exception("unreadable event", event_id=job.event_id)
        return Retry("the stored body cannot be read")


def message(job: DeliveryJob, routing: Routing = EVERYTHING) -> Message | Retry | Unwanted:
    """Build the message of a delivery: the same bytes on every attempt."""
    event = reread(job.body, source=job.source)
    traceparent = trace_of(event) if tracing.is_on() else None
    document = envelope(
        event,
        event_id=job.event_id,
        received_ms=job.received_ms,
        asset=job.asset,
        submission=job.submission,
        traceparent=traceparent,
    )
    if job.undecided and not routing.filter_holds(document, destination=job.destination):
        return Unwanted()
    body = routing.encode(document, destination=job.destination)
    if isinstance(body, NotApplicable):
        # The full message is never sent instead: the projection may hide something.
        return Retry(body.reason)
    return Message(
        id=job.event_id,
        source=event.source,
        generation_id=event.generation_id,
        type=TYPE_PREFIX + event.type,
        kind=event.kind,
        body=body,
        traceparent=traceparent,
    )


def trace_of(event: Event) -> str | None:
    """Return the trace of an event. An operator event is about no generation, and has none."""
    return None if event.type.startswith(OPERATOR) else tracing.traceparent(event.generation_id)


async def _send(destination: Destination, messages: Sequence[Message]) -> Sequence[Outcome]:
    """Send *messages*. An exception in our own code becomes a retry, and stops no other work."""
    if not messages:
        return []
    try:
        outcomes = await destination.send(messages)
    except Exception as error:
        log.exception("destination crashed", events=[one.id for one in messages])
        return [Retry(f"internal error: {type(error).__name__}")] * len(messages)
    if len(outcomes) != len(messages):
        log.error("destination miscounted", messages=len(messages), outcomes=len(outcomes))
        return [Retry("internal error: outcomes are missing")] * len(messages)
    return outcomes


def report(result: ForwardResult) -> None:
    """Count the outcome of a delivery, and log it."""
    job = result.job
    attempts = job.attempts
    facts = {"event_id": job.event_id, "generation_id": job.generation_id, "destination": job.destination}
    match result:
        case DeliveryConfirmed(now_ms=now_ms, receipt=receipt):
            _forwards(job.destination, "delivered").inc()
            if job.is_first:
                _delay(job.destination).observe(max(0, now_ms - job.received_ms) / 1000)
            more = {"receipt": redact(receipt)} if receipt else {}
            logs.info("forwarded", **facts, attempts=attempts, **more)
        case DeliveryPostponed(error=error, parked=parked):
            _forwards(job.destination, "parked" if parked else "postponed").inc()
            attempts -= int(parked)
            log.warning("forward postponed", **facts, error=error, attempts=attempts, parked=parked)
        case DeliveryUnwanted():
            _forwards(job.destination, "unwanted").inc()
            logs.info("unwanted", **facts)
        case DeliveryDead(error=error):
            _forwards(job.destination, "dead").inc()
            log.error("dead letter", **facts, error=error, attempts=attempts)
        case _:
            assert_never(result)
