"""The circuit breaker of one destination: tells a destination that is down from a message that is bad.

A batch of which nothing got through may mean either. While that is open its failures are parked: they cost no
attempt. They count as soon as something else got through since the message last failed, for then it was not
the destination. docs/decisions/0008-parked-attempts.md says why these rules and no others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from receiver.backoff import Backoff
from receiver.outcomes import Judged, Outcome, Parked, Retry

_MOST_SUSPECTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a destination counts as down, and for how long it is left alone."""

    failures: int = 5
    """Batches in a row, and more than one message, of which nothing got through."""
    first_s: float = 1.0
    """Ceiling of the first cool-down, in seconds; it doubles with each probe that fails."""
    max_s: float = 60.0
    """No cool-down is longer than this, in seconds, unless the destination itself asked for more."""


class Breaker:
    """Knows how a destination has been doing. Closed, everything passes; open, nothing but a probe.

    It lives as long as its worker; each worker learns by itself.
    """

    def __init__(
        self, rules: BreakerRules, *, clock: Callable[[], float], chance: Callable[[], float]
    ) -> None:
        """*clock* returns monotonic seconds, *chance* a random number in [0, 1)."""
        self._rules = rules
        self._backoff = Backoff(rules.first_s, rules.max_s)
        self._clock = clock
        self._chance = chance
        self._passed = 0
        self._failures = 0
        self._failing: set[str] = set()
        self.openings = 0
        """How often it opened since something got through, failed probes included; 0 while closed."""
        self._probe_at = 0.0
        self._suspects: dict[str, int] = {}

    @property
    def has_passed(self) -> bool:
        """Whether anything ever got through."""
        return self._passed > 0

    def wait_s(self) -> float:
        """Return the seconds until something may be sent: while open, until the next probe."""
        return max(0.0, self._probe_at - self._clock()) if self.openings else 0.0

    def overdue_s(self) -> float:
        """Return the seconds since a probe was due while it is open."""
        return max(0.0, self._clock() - self._probe_at) if self.openings else 0.0

    def judge(self, outcomes: Mapping[str, Outcome]) -> Mapping[str, Judged]:
        """Learn from the *outcomes* of a batch, by event id; park the failures that are not the messages'."""
        failures = {id_: one for id_, one in outcomes.items() if isinstance(one, Retry)}
        if len(failures) < len(outcomes):
            self._passed += 1
            self._failures = self.openings = 0
            self._failing.clear()
        suspected = self._suspect(outcomes, failures) if failures or self._suspects else set()
        if not outcomes or len(failures) < len(outcomes):
            return outcomes
        self._nothing_passed(failures)
        return {
            id_: failure if id_ in suspected else self._parked(failure) for id_, failure in failures.items()
        }

    def _suspect(self, outcomes: Mapping[str, Outcome], failures: Mapping[str, Retry]) -> set[str]:
        """Remember what failed; return what had failed before something else got through."""
        before = {id_: passed for id_ in outcomes if (passed := self._suspects.pop(id_, None)) is not None}
        self._suspects.update(dict.fromkeys(failures, self._passed))
        while len(self._suspects) > _MOST_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]
        return {id_ for id_, passed in before.items() if passed < self._passed}

    def _nothing_passed(self, failures: Mapping[str, Retry]) -> None:
        self._failures += 1
        self._failing |= failures.keys()
        if self.openings:
            # What was under way when it opened says nothing new.
            due = self.wait_s() == 0
        else:
            # One message alone is evidence about itself, not about the destination.
            due = self._failures >= self._rules.failures and len(self._failing) > 1
        if due:
            self._open(asked_s=max(failure.after_s or 0.0 for failure in failures.values()))

    def _open(self, *, asked_s: float) -> None:
        self.openings += 1
        longest_s = self._backoff.delay_s(self.openings, 1.0)
        cool_down_s = longest_s * (0.5 + 0.5 * self._chance())
        self._probe_at = self._clock() + max(cool_down_s, asked_s)

    def _parked(self, failure: Retry) -> Parked:
        # While open nothing but the probe is claimed; once that gets through, all must be due.
        delay_s = self.wait_s() or self._backoff.delay_s(self._failures, self._chance())
        return Parked(failure.error, max(delay_s, failure.after_s or 0.0), failure.said)
