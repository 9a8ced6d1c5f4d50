"""The circuit breaker of one destination: distinguishes a destination that is down from a bad message.

If nothing of a batch got through, it may be either. While that is undecided, failures are parked: they cost
no attempt. They count once something else got through after the message last failed, because then it was not
the destination. docs/decisions/0008-parked-attempts.md explains the rules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from receiver.backoff import Backoff
from receiver.outcomes import Judged, Outcome, Parked, Retry

_MOST_SUSPECTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a destination counts as down, and how long it is left alone."""

    failures: int = 5
    """Failed batches in a row, with more than one message among them, before it opens."""
    first_s: float = 1.0
    """Ceiling of the first cool-down, in seconds; doubles with each failed probe."""
    max_s: float = 60.0
    """The longest cool-down in seconds, unless the destination itself asks for more."""


class Breaker:
    """Tracks how a destination is doing. Closed, everything passes; open, only a probe does.

    It lives as long as its worker; each worker learns separately.
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
        """How often it opened since anything last got through, including failed probes; 0 while closed."""
        self._probe_at = 0.0
        self._suspects: dict[str, int] = {}

    @property
    def has_passed(self) -> bool:
        """Whether anything ever got through."""
        return self._passed > 0

    def wait_s(self) -> float:
        """Return the seconds until something may be sent; while open, until the next probe."""
        return max(0.0, self._probe_at - self._clock()) if self.openings else 0.0

    def overdue_s(self) -> float:
        """Return how many seconds the probe is overdue while open."""
        return max(0.0, self._clock() - self._probe_at) if self.openings else 0.0

    def judge(self, outcomes: Mapping[str, Outcome]) -> Mapping[str, Judged]:
        """Learn from the *outcomes* of a batch, by event id; park failures that messages did not cause."""
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
            # Messages in flight when it opened prove nothing new.
            due = self.wait_s() == 0
        else:
            # A single message says something about itself, not about the destination.
            due = self._failures >= self._rules.failures and len(self._failing) > 1
        if due:
            self._open(asked_s=max(failure.after_s or 0.0 for failure in failures.values()))

    def _open(self, *, asked_s: float) -> None:
        self.openings += 1
        longest_s = self._backoff.delay_s(self.openings, 1.0)
        cool_down_s = longest_s * (0.5 + 0.5 * self._chance())
        self._probe_at = self._clock() + max(cool_down_s, asked_s)

    def _parked(self, failure: Retry) -> Parked:
        # While open, only the probe is claimed. Once it gets through, all must be due.
        delay_s = self.wait_s() or self._backoff.delay_s(self._failures, self._chance())
        return Parked(failure.error, max(delay_s, failure.after_s or 0.0), failure.said)
