"""From a settled event to a message in every queue."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from receiver.backoff import Backoff
from receiver.deliver import (
    Forward,
    ForwardResult,
    ForwardRules,
    message,
)
from receiver.destinations import Message
from receiver.events import Asset
from receiver.outcomes import Delivered, FailedAttempt, GivenUp, Judged, Outcome, Parked, Retry
from receiver.routing import EVERYTHING, Routing, take
from receiver.store.jobs import DeliveryJob
from receiver.store.settlements import DeliveryConfirmed, DeliveryDead, DeliveryPostponed, DeliveryUnwanted
from tests.unit.work import BODY, NOW, delivery_job


class FakeDestination:
    """Answers each message by the outcome of its event, or raises."""

    max_batch = 10
    concurrency = 1

    def __init__(self, *outcomes: Outcome, error: Exception | None = None) -> None:
        self.sent: list[Message] = []
        self._outcomes = outcomes
        self._error = error

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        self.sent += batch
        if self._error:
            raise self._error
        return self._outcomes

    async def check(self) -> Delivered | Retry:
        return Delivered()

    async def aclose(self) -> None:
        """Do nothing."""


async def run_forward(
    jobs: Sequence[DeliveryJob], destination: FakeDestination, *, routing: Routing = EVERYTHING
) -> list[ForwardResult]:
    rules = ForwardRules(Backoff(first_s=8, max_s=60), max_attempts=3)
    forward = Forward(destination, rules, lambda: NOW, lambda: 0.5, routing=routing)
    return await forward(jobs)


def options(**texts: str) -> Routing:
    return take("orders", texts)[0]


class TestForward:
    async def test_each_job_has_its_own_result(self) -> None:
        """One batch may end three ways at once, in order."""
        one, two, three = (delivery_job(f"event-{number}") for number in (1, 2, 3))
        destination = FakeDestination(Delivered("42"), GivenUp("http_422"), Retry("busy"))
        results = await run_forward([one, two, three], destination)
        assert results == [
            DeliveryConfirmed(one, NOW, receipt="42"),
            DeliveryDead(two, NOW, "http_422"),
            DeliveryPostponed(three, NOW + 4_000, "busy"),
        ]
        assert destination.sent == [message(one), message(two), message(three)]

    @pytest.mark.parametrize(("after_s", "wait_ms"), [(None, 4_000), (0.0, 4_000), (30.0, 30_000)])
    async def test_waits_at_least_as_long_as_asked(self, after_s: float | None, wait_ms: int) -> None:
        """A destination that asks for time gets it; one that does not gets the backoff."""
        (result,) = await run_forward([delivery_job()], FakeDestination(Retry("busy", after_s)))
        assert isinstance(result, DeliveryPostponed)
        assert result.due_ms == NOW + wait_ms

    @pytest.mark.parametrize(
        ("attempts", "kind"), [(2, DeliveryPostponed), (3, DeliveryDead), (4, DeliveryDead)]
    )
    async def test_attempts_end(self, attempts: int, kind: type) -> None:
        """The last attempt that is allowed makes a dead letter, which says so."""
        (result,) = await run_forward([delivery_job(attempts=attempts)], FakeDestination(Retry("busy", 1.0)))
        assert isinstance(result, kind)
        if isinstance(result, DeliveryDead):
            assert result.error == f"busy (attempt {attempts} of 3)"

    async def test_what_is_parked_never_dies(self) -> None:
        """A failure that is the destination's puts off even the last attempt, and gives it back."""
        seen: list[Mapping[str, Outcome]] = []

        def judge(outcomes: Mapping[str, Outcome]) -> Mapping[str, Judged]:
            seen.append(outcomes)
            return {**outcomes, "event-1": Parked("down", 7.5)}

        jobs = [delivery_job("event-1", attempts=3), delivery_job("event-2", body=b"not json")]
        down = FakeDestination(Retry("down"))
        forward = Forward(down, ForwardRules(max_attempts=3), lambda: NOW, lambda: 0.5, judge)
        results = await forward(jobs)
        assert results[0] == DeliveryPostponed(jobs[0], NOW + 7_500, "down", parked=True)
        assert seen == [{"event-1": Retry("down")}], "what was not sent says nothing of the destination"
        assert isinstance(results[1], DeliveryPostponed)
        assert not results[1].parked

    async def test_what_is_kept_of_a_failure(self) -> None:
        """When it was sent, how long that took, and how the answer began; of a success nothing."""
        times = iter((NOW, NOW + 250))
        outcomes = (
            *(Delivered(), GivenUp("http_422", b"no"), Retry("busy", said=b"later")),
            Parked("down", 7.5, b"away"),
        )
        forward = Forward(
            FakeDestination(*[Delivered()] * 4),
            ForwardRules(),
            clock=lambda: next(times),
            chance=lambda: 0.5,
            judge=lambda sent: dict(zip(sent, outcomes, strict=True)),
        )
        results = await forward([delivery_job(f"event-{number}") for number in range(4)])
        assert [getattr(one, "attempt", None) for one in results] == [
            None,
            FailedAttempt(NOW, 250, "http_422", b"no"),
            FailedAttempt(NOW, 250, "busy", b"later"),
            FailedAttempt(NOW, 250, "down", b"away"),
        ]

    async def test_crashing_destination_is_a_retry_for_all(self) -> None:
        """A bug in a destination loses nothing, and its text stays out of the error."""
        results = await run_forward(
            [delivery_job("event-1"), delivery_job("event-2")], FakeDestination(error=RuntimeError("secret"))
        )
        assert [type(result) for result in results] == [DeliveryPostponed] * 2
        assert {result.error for result in results if isinstance(result, DeliveryPostponed)} == {
            "internal error: RuntimeError"
        }

    async def test_one_unreadable_body_spares_the_others(self) -> None:
        """A stored body that this release cannot read is put off alone; the rest of its batch is sent."""
        good = delivery_job("event-2")
        results = await run_forward(
            [delivery_job("event-1", body=b"not json"), good], FakeDestination(Delivered())
        )
        assert isinstance(results[0], DeliveryPostponed)
        assert results[1] == DeliveryConfirmed(good, NOW)

    async def test_short_answer_is_a_retry_for_all(self) -> None:
        """A destination that answers for fewer messages than it got has confirmed none of them."""
        results = await run_forward(
            [delivery_job("event-1"), delivery_job("event-2")], FakeDestination(Delivered())
        )
        assert [type(result) for result in results] == [DeliveryPostponed] * 2

    async def test_the_filter_is_asked_of_what_is_undecided(self) -> None:
        """A delivery made before its submission was known is dropped if the filter does not hold by now."""
        ours, theirs = (
            replace(delivery_job(name), undecided=True, submission={"client_ref": name}) for name in "ab"
        )
        decided = replace(delivery_job("c"), submission={"client_ref": "c"})
        destination = FakeDestination(Delivered(), Delivered())
        results = await run_forward(
            [ours, theirs, decided], destination, routing=options(filter="data.submission.client_ref == 'a'")
        )
        assert results == [
            DeliveryConfirmed(ours, NOW),
            DeliveryUnwanted(theirs),
            DeliveryConfirmed(decided, NOW),
        ]

    async def test_an_inapplicable_projection_is_put_off(self) -> None:
        """Nothing is sent in its place: another expression may be set before the attempts end."""
        (result,) = await run_forward(
            [delivery_job()], FakeDestination(), routing=options(projection="contains(error, 'x')")
        )
        assert isinstance(result, DeliveryPostponed)
        assert result.error.startswith("RECEIVER_DESTINATIONS__ORDERS__PROJECTION cannot be applied")


class TestMessage:
    def test_projection_changes_the_body_alone(self) -> None:
        """What brokers route and dedupe by is the same with and without a projection."""
        whole = message(delivery_job(body=BODY))
        part = message(delivery_job(body=BODY, attempts=7), options(projection="{id: generation_id}"))
        assert isinstance(whole, Message)
        assert isinstance(part, Message)
        assert replace(whole, body=part.body) == part
        assert json.loads(part.body)["data"] == {"id": "gen_1"}

    def test_is_the_same_on_every_attempt(self) -> None:
        """Attempts and leases leave no trace in it."""
        asset = Asset("failed", error="expired")
        assert message(delivery_job(asset=asset, attempts=1)) == message(
            delivery_job(asset=asset, attempts=9)
        )

    def test_says_outside_what_it_says_inside(self) -> None:
        """What brokers route by is what the envelope holds."""
        made = message(delivery_job(body=BODY))
        assert isinstance(made, Message)
        inside = json.loads(made.body)
        assert (made.id, made.type, made.generation_id) == (inside["id"], inside["type"], inside["subject"])
        assert (made.kind, made.source) == (inside["data"]["kind"], "photoverse")
