"""The gate before a bucket or an asset host: shut while that is away, but for one at a time that tries."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from receiver.outcomes import Delivered, Outcome, Parked, Retry
from receiver.worker.breaker import Breaker, BreakerRules

GATE_RULES: Final = BreakerRules(failures=3, first_s=1.0, max_s=5.0)
"""What is back is to be used within seconds: the work that waits for it is somebody's file."""
_LATELY_S: Final = 60.0
"""A probe that is overdue for longer is needed by nobody: who waits for the gate tries within seconds."""
_LEAST_S: Final = 1.0
"""Nothing that stands before a shut gate is claimed again at once."""

Told = Callable[["Gate"], None]
"""Hears that a gate was shut or opened."""


class Gate:
    """Lets work pass, and remembers the outcome. It lives as long as its worker, like the breaker."""

    def __init__(self, breaker: Breaker, told: Told) -> None:
        self._breaker = breaker
        self._told = told
        self._trying = False
        self._failures = 0
        self.has_passed = False
        """Whether anything ever got through: only then is it known that what is behind works."""
        self.error = ""
        """What failed last."""

    @property
    def is_down(self) -> bool:
        """Whether what is behind it does not work, as far as is known."""
        return bool(self._breaker.openings)

    @property
    def is_found_down(self) -> bool:
        """Whether it `is_down`, and somebody tried lately: what nobody asks for may have come back."""
        return self.is_down and (self._trying or self._breaker.overdue_s() < _LATELY_S)

    @property
    def is_shut(self) -> bool:
        """Whether nobody may pass now; if not, while it `is_down`, one may try."""
        return self.is_down and (self._trying or self._breaker.wait_s() > 0)

    def wait_s(self) -> float:
        """Return the seconds until somebody may try."""
        return self._breaker.wait_s()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Pass; nobody else does meanwhile if this is the one that tries."""
        if not self.is_down:
            yield
            return
        self._trying = True
        try:
            yield
        finally:
            self._trying = False

    def parked_s(self) -> float:
        """Return for how long to put off what stands before the shut gate."""
        return max(self.wait_s(), _LEAST_S)

    def passed(self, name: str) -> None:
        """Note that *name* got what it wanted: what is behind works."""
        self._failures = 0
        self.has_passed = True
        self._judge(name, Delivered())

    def failed(self, name: str, failure: Retry) -> float | None:
        """Note that *name* failed; return the seconds to park it for, or None where it is its own fault."""
        self.error = failure.error
        self._failures += 1
        judged = self._judge(name, failure)
        # One that is alone shuts no gate; it need not try every second for that.
        least_s = 0.0 if self.is_down else min(GATE_RULES.max_s, self._failures / 2)
        return max(judged.after_s, least_s) if isinstance(judged, Parked) else None

    def _judge(self, name: str, outcome: Outcome) -> Outcome | Parked:
        was_down = self.is_down
        judged = self._breaker.judge({name: outcome})[name]
        if self.is_down != was_down:
            self._told(self)
        return judged
