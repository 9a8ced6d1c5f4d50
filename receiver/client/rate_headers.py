"""The rate limit from the provider's headers, on our own clock.

Waits are counted from the server's own `Date`: the reset is a time on the server's clock, not on ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from receiver.retry_after import http_date, retry_after_s

LONGEST_WAIT_S: Final = 120.0
"""No header makes us wait longer than this before asking again."""
NO_DATE_MARGIN_S: Final = 1.0
_DEFAULT_PAUSE_S: Final = 60.0
_MILLISECONDS_FROM: Final = 1e11
_TIMESTAMP_FROM: Final = 1e8
_MOST_REQUESTS: Final = 1_000_000
"""No window has more: a header that says so is wrong."""


@dataclass(frozen=True, slots=True)
class Window:
    """One answer's rate limit, on our own clock."""

    limit: int | None
    remaining: int
    reset_at: float
    skew_s: float


def read_window(headers: Mapping[str, str], now: float) -> Window | None:
    """Parse the rate-limit headers; None if they are not usable."""
    remaining, reset = _number(headers, "x-ratelimit-remaining"), _number(headers, "x-ratelimit-reset")
    if remaining is None or reset is None:
        return None
    date = http_date(headers.get("date"), now=now)
    skew_s = 0.0 if date is None else date - now
    wait = _wait_until(reset, server_now=now + skew_s) + (NO_DATE_MARGIN_S if date is None else 0.0)
    limit = _number(headers, "x-ratelimit-limit")
    # A limit of 0 cannot be meant, and would last forever, since no request would be sent to correct it.
    return Window(
        limit=int(limit) if limit is not None and 1 <= limit <= _MOST_REQUESTS else None,
        remaining=int(min(remaining, _MOST_REQUESTS)),
        reset_at=now + min(max(wait, 0.0), LONGEST_WAIT_S),
        skew_s=skew_s,
    )


def wait_after_429(headers: Mapping[str, str], now: float) -> float:
    """Return the seconds to wait: by `Retry-After`, else until the reset, else a minute."""
    asked = retry_after_of(headers, now)
    if asked is not None:
        return asked
    window = read_window(headers, now)
    return _DEFAULT_PAUSE_S if window is None else window.reset_at - now


def retry_after_of(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds in `Retry-After`, within reason; None if there is none."""
    return retry_after_s(
        headers.get("retry-after"), now=now, date=headers.get("date"), longest_s=LONGEST_WAIT_S
    )


def _wait_until(reset: float, *, server_now: float) -> float:
    if reset < _TIMESTAMP_FROM:
        return reset  # too small for a timestamp: seconds from now
    return (reset / 1000 if reset >= _MILLISECONDS_FROM else reset) - server_now


def _number(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(name, "").strip()
    if not text.isascii() or not text.replace(".", "", 1).isdigit():
        return None
    return float(text)
