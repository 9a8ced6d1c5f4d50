"""A fixed window for each API key, reported in the headers of every response."""

from dataclasses import dataclass

from receiver.contract import RATE_LIMIT_HEADERS
from receiver.sandbox.dialect import Dialect
from receiver.sandbox.refusals import Refusal


@dataclass(slots=True)
class _Window:
    ends_at: int
    used: int = 0


class RateLimits:
    """Counts requests."""

    def __init__(self, limit: int, window_s: int, dialect: Dialect | None = None) -> None:
        self.limit = limit
        self.window_s = window_s
        self._dialect = dialect or Dialect()
        self._windows: dict[str, _Window] = {}

    def take(self, key: str, now: float) -> None:
        """Count one request of *key*, or refuse it."""
        window = self._window(key, now)
        refused = window.used >= self.limit
        if not refused or self._dialect.refused_requests_count:
            window.used += 1
        if refused:
            raise Refusal("rate_limited", "Too many requests, please slow down")

    def headers(self, key: str, now: float) -> dict[str, str]:
        """Return the headers for *key*; an empty name stands for no key."""
        shown = self._dialect.rate_headers
        if shown == "never" or (shown == "with_key" and not key):
            return {}
        window = self._window(key, now)
        scale = 1000 if self._dialect.reset_unit == "milliseconds" else 1
        values = (self.limit, max(0, self.limit - window.used), window.ends_at * scale)
        return dict(zip(RATE_LIMIT_HEADERS, map(str, values), strict=True))

    def ends_at(self, key: str, now: float) -> int:
        """Return when the window of *key* ends, in seconds since the epoch."""
        return self._window(key, now).ends_at

    def _window(self, key: str, now: float) -> _Window:
        window = self._windows.get(key)
        if window is None or now >= window.ends_at:
            window = self._windows[key] = _Window(self._end(now))
        return window

    def _end(self, now: float) -> int:
        if self._dialect.rate_window == "whole_minutes":
            window_s = max(1, self.window_s)
            return (int(now) // window_s + 1) * window_s
        return int(now) + self.window_s
