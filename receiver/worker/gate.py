"""The gate before a bucket or asset host: while that is down, it lets only one attempt at a time through."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from receiver.outcomes import Delivered, Outcome, Parked, Retry
from receiver.worker.breaker import Breaker, BreakerRules

GATE_RULES: Final = BreakerRules(failures=3, first_s=1.0, max_s=5.0)
"""A recovered host is to be used within seconds: somebody's file is waiting."""
_LATELY_S: Final = 60.0
"""Nobody needs a probe that has been overdue for longer: work at the gate tries within seconds."""
_LEAST_S: Final = 1.0
"""Work at a shut gate is never claimed again at once."""

Told = Callable[["Gate"], None]
"""Called when a gate is shut or opened."""


class Gate:
    """Lets work through, and remembers the outcome. Lives as long as its worker, like the breaker."""

    def __init__(self, breaker: Breaker, told: Told) -> None:
        self._breaker = breaker
        self._told = told
        self._trying = False
        self._failures = 0
        self.has_passed = False
        """Whether anything ever got through: only then is it known to work."""
        self.error = ""
        """The latest failure."""

    @property
    def is_down(self) -> bool:
        """Whether what is behind it is down, as far as is known."""
        return bool(self._breaker.openings)

    @property
    def is_found_down(self) -> bool:
        """Whether it `is_down` and was tried lately; if nobody tries, it may have recovered."""
        return self.is_down and (self._trying or self._breaker.overdue_s() < _LATELY_S)

    @property
    def is_shut(self) -> bool:
        """Whether nobody may pass now. If false while it `is_down`, one may try."""
        return self.is_down and (self._trying or self._breaker.wait_s() > 0)

    def wait_s(self) -> float:
        """Return the seconds until someone may try."""
        return self._breaker.wait_s()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Pass. If this is a trial, nobody else passes meanwhile."""
        if not self.is_down:
            yield
            return
        self._trying = True
        try:
            yield
        finally:
            self._trying = False

    def parked_s(self) -> float:
        """Return how long to postpone what waits at the shut gate."""
        return max(self.wait_s(), _LEAST_S)

    def passed(self, name: str) -> None:
        """Record that *name* succeeded, so what is behind it works."""
        self._failures = 0
        self.has_passed = True
        self._judge(name, Delivered())

    def failed(self, name: str, failure: Retry) -> float | None:
        """Record that *name* failed; return the seconds to park it for, or None if that is its own fault."""
        self.error = failure.error
        self._failures += 1
        judged = self._judge(name, failure)
        # A single piece of work never shuts the gate, but it need not try every second either.
        least_s = 0.0 if self.is_down else min(GATE_RULES.max_s, self._failures / 2)
        return max(judged.after_s, least_s) if isinstance(judged, Parked) else None

    def _judge(self, name: str, outcome: Outcome) -> Outcome | Parked:
        was_down = self.is_down
        judged = self._breaker.judge({name: outcome})[name]
        if self.is_down != was_down:
            self._told(self)
        return judged
