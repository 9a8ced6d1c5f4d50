"""The rate limit of one API key, shared by programs on one database.

One row for each key: the provider's count, minus the requests sent since. Times in it are the provider's, so
that machines with different clocks agree.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from hmac import digest
from http import HTTPStatus
from typing import Final, Protocol, TypeVar

from receiver.client.config import Config
from receiver.client.pacer import Pacer, Priority, kept_free, whole_window
from receiver.client.rate_headers import LONGEST_WAIT_S, read_window, wait_after_429
from receiver.client.wire import Answer
from receiver.contract import REQUESTS_PER_MINUTE
from receiver.pace import KeyPace

_log = logging.getLogger("receiver.client")

T = TypeVar("T")

_FIRST_ANSWER_S: Final = 1.0
_BOUNDARY_S: Final = 1.25
"""Nothing is sent this close to the end of a window. `Date` counts whole seconds, so the provider may already
count the request in the next one."""
_SILENCE_S: Final = 30.0
"""After a failure, the store is not used for this long: it may take seconds to fail."""
_UNTOLD_WINDOW_S: Final = 60.0
"""A window without a known end is over after this time: the program that began it may be gone."""


class PaceStore(Protocol):
    """Stores paces by name. Blocking, and safe to share between threads and processes.

    It may raise `receiver.errors.StoreUnavailable`, but quickly: no request waits for it.
    """

    def change(self, name: str, change: Callable[[KeyPace], tuple[KeyPace, T]]) -> T:
        """Replace the pace of that name by the result of *change*, under a lock; return the other result."""
        ...


def pace_name(config: Config) -> str:
    """Return the name for the pace of the key in *config*. The key cannot be derived from it."""
    subject = f"{config.base_url} {'='.join(config.credential)}"
    return digest(b"receiver pace 1", subject.encode(), sha256).hex()


def take(pace: KeyPace, now: float, priority: Priority) -> tuple[KeyPace, float]:
    """Reserve one request, or return how many seconds to wait. *now* is the provider's time."""
    pace = _without_a_window_that_ended(pace, now)
    if pace.paused_until > now:
        return pace, min(pace.paused_until - now, LONGEST_WAIT_S)
    if pace.remaining is None:
        return pace, 0.0
    if pace.reset_at is not None and now >= pace.reset_at - _BOUNDARY_S:
        return pace, min(pace.reset_at - now, LONGEST_WAIT_S)
    if pace.remaining > kept_free(pace.limit, priority):
        return replace(pace, remaining=pace.remaining - 1), 0.0
    until = now + _FIRST_ANSWER_S if pace.reset_at is None else pace.reset_at
    return pace, min(until - now, LONGEST_WAIT_S)


def learn(pace: KeyPace, answer: Answer, now: float, skew_s: float) -> KeyPace:
    """Note the window in *answer*. *now* is our own time."""
    pace = replace(pace, skew_s=skew_s)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        until = now + skew_s + wait_after_429(answer.headers, now)
        pace = replace(pace, paused_until=max(pace.paused_until, until))
    seen = read_window(answer.headers, now)
    if seen is None:
        return pace
    limit = pace.limit if seen.limit is None else seen.limit
    # By this answer's own clock: `Date` counts whole seconds, and two answers may differ by one.
    reset_at = seen.reset_at + seen.skew_s
    if reset_at <= (pace.opened_at if pace.reset_at is None else pace.reset_at - 1):
        return pace  # a late answer, about a window that is over
    same = pace.reset_at is None or reset_at < pace.reset_at + 1
    ours = seen.remaining if pace.remaining is None or not same else pace.remaining
    if pace.limit is None and limit is not None and same:
        ours += limit - REQUESTS_PER_MINUTE
    return replace(pace, limit=limit, remaining=min(ours, seen.remaining), reset_at=reset_at)


def _without_a_window_that_ended(pace: KeyPace, now: float) -> KeyPace:
    ended = pace.opened_at + _UNTOLD_WINDOW_S if pace.reset_at is None else pace.reset_at
    if now < ended:
        return pace
    # Requests sent before the first answer count too, against the documented limit.
    limit = REQUESTS_PER_MINUTE if pace.limit is None else pace.limit
    return replace(pace, remaining=whole_window(limit), reset_at=None, opened_at=now)


class SharedPace:
    """One key's pace in a store. While that fails, each program paces itself without waiting."""

    def __init__(self, store: PaceStore, name: str, pacer: Pacer) -> None:
        self._store = store
        self._name = name
        self._pacer = pacer
        self._silent_until = 0.0

    def take(self, now: float, priority: Priority) -> float:
        """Reserve one request and return 0, or return the seconds to wait before asking again."""

        def taken(pace: KeyPace) -> tuple[KeyPace, float]:
            own = self._pacer.skew_s
            return take(pace, now + (pace.skew_s if own is None else own), priority)

        return self._change(taken, now) or 0.0

    def learn(self, answer: Answer, now: float) -> None:
        """Share the window in *answer* with the others."""
        skew_s = self._pacer.skew_s or 0.0
        self._change(lambda pace: (learn(pace, answer, now, skew_s), None), now)

    def _change(self, change: Callable[[KeyPace], tuple[KeyPace, T]], now: float) -> T | None:
        if self._silent_until - _SILENCE_S <= now < self._silent_until:
            return None
        try:
            return self._store.change(self._name, change)
        except Exception as error:  # noqa: BLE001  a store may be anybody's, and an order may have been paid
            self._silent_until = now + _SILENCE_S
            _log.warning("the rate limit is not shared: %s", repr(error))
            return None
