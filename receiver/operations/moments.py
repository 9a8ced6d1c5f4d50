"""Times as people write them: a date, a time, or an age."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_AGO: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_DAYS: Final = {"today": 0, "yesterday": 1}
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_moment(text: str, *, now: datetime) -> datetime:
    """Parse `2025-01-09T12:00:00Z` (UTC by default), an age like `36h`, or a day, which means its start.

    Raises:
        ValueError: it is none of these.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if text in _DAYS:
            midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            return midnight - timedelta(days=_DAYS[text])
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is neither a time (2025-01-09T12:00:00Z, yesterday) nor an age (90m, 36h, 7d)"
        ) from None
