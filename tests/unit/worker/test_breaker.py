"""The circuit breaker: is it the destination, or the message?"""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from receiver.outcomes import Delivered, GivenUp, Judged, Outcome, Parked, Retry
from receiver.worker.breaker import Breaker, BreakerRules

WEEK_S = 7 * 24 * 3600


@dataclass
class Bench:
    """A breaker with a clock that a test moves, and a chance that it sets."""

    now: float = 1000.0
    chance: float = 0.5

    def __post_init__(self) -> None:
        self.breaker = Breaker(BreakerRules(failures=3), clock=lambda: self.now, chance=lambda: self.chance)

    def batch(self, *ids: str, error: str = "down", after_s: float | None = None) -> Mapping[str, Judged]:
        """A batch of which nothing gets through."""
        return self.breaker.judge(dict.fromkeys(ids, Retry(error, after_s)))

    def passes(self, id_: str) -> None:
        self.breaker.judge({id_: Delivered()})

    def open(self) -> None:
        for id_ in ("a", "b", "c"):
            self.batch(id_)
        assert self.breaker.openings == 1

    def fail_probe(self, id_: str, **asked: float) -> float:
        """Let the cool-down pass, fail the probe and return the next cool-down."""
        self.now += self.breaker.wait_s()
        self.batch(id_, **asked)  # type: ignore[arg-type]  # after_s alone
        return self.breaker.wait_s()


@pytest.fixture
def bench() -> Bench:
    return Bench()


class TestJudge:
    def test_what_is_not_in_doubt_stays_as_it_is(self, bench: Bench) -> None:
        """A failure among messages that get through is the message's own and counts at once."""
        outcomes: dict[str, Outcome] = {"a": Retry("busy", 3.0), "b": Delivered(), "c": GivenUp("no")}
        assert bench.breaker.judge(outcomes) == outcomes

    def test_a_refusal_is_an_answer(self, bench: Bench) -> None:
        """A destination that refuses a message for good is not down."""
        outcomes: dict[str, Outcome] = {"a": Retry("busy"), "b": GivenUp("no")}
        assert bench.breaker.judge(outcomes) == outcomes

    def test_what_failed_before_others_passed_is_no_evidence(self, bench: Bench) -> None:
        """A message that fails alone after that stays alone."""
        bench.batch("a")
        bench.passes("b")
        for _ in range(3):
            bench.batch("c")
        assert not bench.breaker.openings

    def test_parks_while_it_is_in_doubt(self, bench: Bench) -> None:
        """Where nothing gets through, no failure counts, from the very first batch on."""
        assert bench.batch("a", "b") == {"a": Parked("down", 0.5), "b": Parked("down", 0.5)}

    def test_nothing_to_judge(self, bench: Bench) -> None:
        """A batch of which nothing could be sent says nothing."""
        for _ in range(9):
            assert bench.breaker.judge({}) == {}
        assert bench.breaker.openings == 0

    def test_waits_longer_and_never_beyond_the_bound(self, bench: Bench) -> None:
        """What is parked comes back later each time, after a minute at most."""
        waits = [
            one.after_s for _ in range(9) for one in bench.batch("a").values() if isinstance(one, Parked)
        ]
        assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]

    def test_waits_at_least_as_long_as_asked(self, bench: Bench) -> None:
        """A parked message respects Retry-After."""
        assert bench.batch("a", after_s=90) == {"a": Parked("down", 90)}

    def test_waits_for_the_probe_while_it_is_open(self, bench: Bench) -> None:
        """Whatever waits is due when the next probe is, so that all of it goes once that gets through."""
        bench.open()
        for _ in range(6):
            bench.now += bench.breaker.wait_s()
            assert bench.batch("a") == {"a": Parked("down", bench.breaker.wait_s())}

    def test_a_week_of_outage_costs_nothing(self, bench: Bench) -> None:
        """However long a destination is down, and however often each message is tried, no attempt counts."""
        end = bench.now + WEEK_S
        number = 0
        while bench.now < end:
            bench.now += bench.breaker.wait_s() + 0.1
            number += 1
            judged = bench.batch(f"event-{number % 50}")
            assert all(isinstance(one, Parked) for one in judged.values())
        assert number > 7 * 24 * 60

    def test_a_bad_message_among_good_ones_burns_its_attempts(self, bench: Bench) -> None:
        """Alone in its batch again and again, it pays for each time that something got through in between."""
        kinds = []
        for number in range(5):
            kinds += [type(one) for one in bench.batch("bad").values()]
            bench.passes(f"good-{number}")
        assert kinds == [Parked, Retry, Retry, Retry, Retry]

    def test_a_bad_message_in_an_idle_queue_pays_later(self, bench: Bench) -> None:
        """As long as nothing else is sent nobody can tell; the first message that gets through does."""
        assert {type(one) for _ in range(50) for one in bench.batch("bad").values()} == {Parked}
        bench.passes("good")
        assert bench.batch("bad") == {"bad": Retry("down")}

    def test_its_own_success_is_no_evidence(self, bench: Bench) -> None:
        """A message that got through at last starts anew, should it ever be sent again."""
        bench.batch("a")
        bench.passes("a")
        assert isinstance(bench.batch("a")["a"], Parked)

    def test_an_outage_costs_a_survivor_of_the_last_one_at_most_one(self, bench: Bench) -> None:
        """What had failed before the destination worked pays once when it is down again, not for each try."""
        bench.batch("a")
        bench.passes("b")
        assert [type(bench.batch("a")["a"]) for _ in range(5)] == [Retry, Parked, Parked, Parked, Parked]

    def test_remembers_no_more_than_it_must(self, bench: Bench) -> None:
        """Memory is bounded: the longest-known suspects are forgotten first."""
        bench.batch(*map(str, range(10_001)))
        assert len(bench.breaker._suspects) == 10_000
        bench.passes("good")
        assert "0" not in bench.breaker._suspects
        assert isinstance(bench.batch("10000")["10000"], Retry)


class TestOpenings:
    def test_opens_after_so_many_batches(self, bench: Bench) -> None:
        """Not before; and what gets through in between starts the count anew."""
        bench.batch("a")
        bench.batch("b")
        bench.passes("c")
        bench.batch("a")
        bench.batch("b")
        assert bench.breaker.openings == 0
        bench.batch("d")
        assert bench.breaker.openings == 1

    def test_one_message_never_opens_it(self, bench: Bench) -> None:
        """A bad message in an otherwise idle queue holds up nobody; a second that fails, too, is telling."""
        for _ in range(50):
            bench.batch("bad")
        assert bench.breaker.openings == 0
        bench.batch("another")
        assert bench.breaker.openings == 1

    def test_closes_when_something_gets_through(self, bench: Bench) -> None:
        """One message is enough, also one that was under way when the breaker opened."""
        bench.open()
        bench.passes("d")
        assert (bench.breaker.openings, bench.breaker.wait_s()) == (0, 0)

    def test_what_was_under_way_does_not_prolong_it(self, bench: Bench) -> None:
        """Batches that fail while it is open were sent before, and say nothing new."""
        bench.open()
        before = bench.breaker.wait_s()
        bench.batch("d")
        assert (bench.breaker.openings, bench.breaker.wait_s()) == (1, before)


class TestWait:
    def test_doubles_to_the_bound(self, bench: Bench) -> None:
        """Each failed probe doubles the cool-down; a destination that returns is used within a minute."""
        bench.chance = 0.999_999
        bench.open()
        waits = [bench.breaker.wait_s(), *(bench.fail_probe(f"p{number}") for number in range(8))]
        assert [round(wait) for wait in waits] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        assert max(waits) <= 60

    def test_jitter_takes_half_of_it_at_most(self, bench: Bench) -> None:
        """Workers do not probe in step, and none probes at once."""
        bench.chance = 0.0
        bench.open()
        assert bench.breaker.wait_s() == 0.5

    def test_as_long_as_asked(self, bench: Bench) -> None:
        """Retry-After lengthens the cool-down, also beyond the bound, and never shortens it."""
        bench.open()
        assert bench.fail_probe("p1", after_s=300.0) == 300
        assert bench.fail_probe("p2", after_s=0.0) == 3.0

    def test_starts_small_after_it_closed(self, bench: Bench) -> None:
        """The next outage begins with a short cool-down."""
        bench.open()
        for number in range(8):
            bench.fail_probe(f"p{number}")
        bench.passes("x")
        bench.open()
        assert bench.breaker.wait_s() == 0.75
