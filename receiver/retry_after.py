"""`Retry-After` and the dates of HTTP, read without trusting them (RFC 9110, sections 5.6.7 and 10.2.3)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

MAX_S: Final = 3600.0
"""The longest wait we let a server ask for, in seconds."""

_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]*)?")
_DATE: Final = re.compile(
    r"""(?:[A-Z]{3,9},?\ +)?
    (?: (?P<day>\d{1,2}) [ -] (?P<month>[A-Z]{3}) [ -] (?P<year>\d{4}|\d\d) \ + (?P<time>\d\d:\d\d:\d\d)
      | (?P<month_>[A-Z]{3}) \ + (?P<day_>\d{1,2}) \ + (?P<time_>\d\d:\d\d:\d\d) \ + (?P<year_>\d{4}) )
    (?: \ + (?:GMT|UTC|UT|Z) | \ * (?P<sign>[+-]) (?P<hours>\d\d) :? (?P<minutes>\d\d) )?""",
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
"""The three forms: the current one, RFC 850's, and that of C's asctime. Some servers write another zone, or
none."""
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def retry_after_s(
    value: str | None, *, now: float, date: str | None = None, longest_s: float = MAX_S
) -> float | None:
    """Return the wait in seconds that *value* asks for, from 0 to *longest_s*, or None if it asks for none.

    *now* is the Unix time in seconds. A date is counted from *date*, the `Date` of the same answer, if that
    can be read. The difference between the server's clock and ours then does not matter.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), longest_s)
    until = http_date(text, now=now)
    if until is None:
        return None
    server_now = http_date(date, now=now)
    return min(max(until - (now if server_now is None else server_now), 0.0), longest_s)


def http_date(text: str | None, *, now: float) -> float | None:
    """Return the Unix time in seconds of an HTTP date, or None if it is not one.

    A date without a zone is in GMT. *now* gives the century of a two-digit year.
    """
    found = _DATE.fullmatch((text or "").strip())
    if found is None:
        return None
    try:
        return _moment(found, now).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _moment(found: re.Match[str], now: float) -> datetime:
    day, month, year, time = (found[name] or found[f"{name}_"] for name in ("day", "month", "year", "time"))
    hour, minute, second = map(int, time.split(":"))
    moment = datetime(
        _full_year(year, now), _MONTHS.index(month.lower()) + 1, int(day), hour, minute, tzinfo=UTC
    )
    if second > 60:  # noqa: PLR2004  # there are leap seconds, which datetime does not know
        raise ValueError("no such second")
    return moment + timedelta(seconds=second) - _offset(found)


def _full_year(written: str, now: float) -> int:
    if len(written) == len("2015"):
        return int(written)
    # The nearest one: by RFC 9110, a date more than fifty years ahead means the previous century.
    latest = datetime.fromtimestamp(now, UTC).year + 50
    return latest - (latest - int(written)) % 100


def _offset(found: re.Match[str]) -> timedelta:
    if found["sign"] is None:
        return timedelta()
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
    return -offset if found["sign"] == "-" else offset
