"""When the next request may be sent, by the provider's latest rate-limit headers.

All clients of a process share one pacer for each API key. Processes need not share anything: every answer has
the provider's own count, and the reserves cover requests that others sent since.
"""

import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal
from weakref import WeakValueDictionary

from receiver import forks
from receiver.client.rate_headers import LONGEST_WAIT_S, NO_DATE_MARGIN_S, read_window, wait_after_429
from receiver.client.results import RateLimit
from receiver.client.wire import Answer, Reply
from receiver.contract import REQUESTS_PER_MINUTE
from receiver.retry_after import http_date

if TYPE_CHECKING:
    from receiver.client.config import Config

Priority = Literal["interactive", "wait", "background"]
"""Who yields: `background` work yields to polls that `wait`, and those to interactive calls."""

PRIORITIES: Final[tuple[Priority, ...]] = ("interactive", "wait", "background")
_KEPT_FREE: Final[Mapping[Priority, float]] = {"interactive": 0.0, "wait": 10 / 60, "background": 25 / 60}
"""The share of each window reserved for higher priorities."""

_SHORTEST_PAUSE_S: Final = 0.5
JITTER_S: Final = 0.25
_FIRST_ANSWER_S: Final = 1.0
_THREADS_DIFFER_S: Final = 2.0
"""How old a thread's time may be before it means that the clock was set back."""


def lower(one: Priority, other: Priority | None) -> Priority:
    """Return the one of two with the lower priority."""
    return one if other is None else max(one, other, key=PRIORITIES.index)


def kept_free(limit: int | None, priority: Priority) -> int:
    """Return how many of a window's requests are left to those who go before *priority*."""
    return int((limit or 0) * _KEPT_FREE[priority])


def whole_window(limit: int) -> int:
    """Return how many requests a new window has: at least one, because only its answer shows more."""
    return max(limit, 1)


class Pacer(forks.Forkable):
    """Keeps one API key below its rate limit. Safe to share between threads and between clients."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limit: int | None = None
        self._remaining: int | None = None
        self._reset_at: float | None = None
        self._skew_s: float | None = None
        self._observed_at: float | None = None
        self._in_flight = 0
        self._latest = 0.0
        self._paused_until = 0.0
        self._refusals_in_a_row = 0
        forks.watch(self)

    def after_fork(self) -> None:
        """Do not count requests of the parent's threads: their answers do not arrive here."""
        self._lock = threading.Lock()
        self._in_flight = 0

    def reserve(self, now: float, chance: float, priority: Priority = "interactive") -> float:
        """Reserve one request and return 0, or return the seconds to wait before asking again."""
        with self._lock:
            self._notice(now)
            if self._reset_at is not None and now >= self._reset_at:
                self._remaining = None if self._limit is None else whole_window(self._limit)
                self._reset_at = None
            until = max(self._paused_until, self._full_until(now, priority))
            if until > now:
                return until - now + chance * JITTER_S
            self._in_flight += 1
            return 0.0

    def observe(self, reply: Reply | None, now: float, *, sent_at: float | None = None) -> None:
        """Return the reservation, and learn from *reply*, if any, to the request sent at *sent_at*."""
        with self._lock:
            self._notice(now)
            self._in_flight -= 1
            if isinstance(reply, Answer):
                self._learn(reply.headers, now)
                self._pause(reply, now, now if sent_at is None else sent_at)

    @property
    def rate_limit(self) -> RateLimit | None:
        """The limit as last seen; None before the first answer that carried one."""
        with self._lock:
            if self._observed_at is None:
                return None
            skew_s = self._skew_s or 0.0
            return RateLimit(self._limit, self._remaining, self._reset_at, skew_s, self._observed_at)

    @property
    def skew_s(self) -> float | None:
        """The provider's clock minus ours, in seconds; None before the first answer with a `Date`."""
        with self._lock:
            return self._skew_s

    def _notice(self, now: float) -> None:
        """Move our times with a clock that was set back, or every request would wait for the difference."""
        back_s = self._latest - now
        if back_s <= _THREADS_DIFFER_S:
            self._latest = max(self._latest, now)
            return
        self._latest = now
        self._paused_until -= back_s
        self._reset_at = None if self._reset_at is None else self._reset_at - back_s
        self._skew_s = None if self._skew_s is None else self._skew_s + back_s

    def _full_until(self, now: float, priority: Priority) -> float:
        # Before the first answer, the documented limit applies.
        remaining = REQUESTS_PER_MINUTE if self._remaining is None else self._remaining
        if remaining - self._in_flight > kept_free(self._limit, priority):
            return 0.0
        # Without a reset, the window is new and fully in flight: the first answer will show its end.
        return now + _FIRST_ANSWER_S if self._reset_at is None else self._reset_at

    def _learn(self, headers: Mapping[str, str], now: float) -> None:
        date = http_date(headers.get("date"), now=now)
        self._skew_s = self._skew_s if date is None else date - now
        seen = read_window(headers, now)
        if seen is None:
            return
        self._observed_at = now
        self._limit = seen.limit if seen.limit is not None else self._limit
        same = self._reset_at is not None and abs(seen.reset_at - self._reset_at) <= NO_DATE_MARGIN_S
        if same and self._remaining is not None:
            # Answers overtake each other: within one window the lowest count is the newest.
            self._remaining = min(self._remaining, seen.remaining)
        elif self._reset_at is None or seen.reset_at > self._reset_at:
            self._remaining, self._reset_at = seen.remaining, seen.reset_at

    def _pause(self, answer: Answer, now: float, sent_at: float) -> None:
        if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
            self._refusals_in_a_row = 0
            return
        # Refusals of one burst count once: only a request after a pause can show that the pause was too
        # short.
        if sent_at >= self._paused_until or not self._refusals_in_a_row:
            self._refusals_in_a_row += 1
        wait = max(wait_after_429(answer.headers, now), _SHORTEST_PAUSE_S)
        longer = min(wait * 2.0 ** min(self._refusals_in_a_row - 1, 8), LONGEST_WAIT_S)
        self._paused_until = max(self._paused_until, now + longer)


Name = tuple[str, str, Callable[[], float]]

_pacers: Final[WeakValueDictionary[Name, Pacer]] = WeakValueDictionary()


class _Guard(forks.Forkable):
    """Lets one thread at a time look up a pacer."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        forks.watch(self)

    def after_fork(self) -> None:
        """Wait for no thread of the parent."""
        self.lock = threading.Lock()


_guard: Final = _Guard()


def pacer_for(config: "Config", clock: Callable[[], float]) -> Pacer:
    """Return the pacer that all clients with this base URL, key and clock share."""
    key = sha256("=".join(config.credential).encode()).hexdigest()
    with _guard.lock:
        # Not `setdefault`: the caller's strong reference must exist before the weak one is read again.
        pacer = _pacers.get(name := (config.base_url, key, clock))
        if pacer is None:
            pacer = _pacers[name] = Pacer()
        return pacer
