"""The `Retry-After` header, read without trusting it (RFC 9110, section 10.2.3)."""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

MAX_S: Final = 3600.0
"""The longest wait we let a server ask for, in seconds."""


def retry_after_s(value: str | None, *, now: float) -> float | None:
    """Return the wait in seconds that *value* asks for, from 0 to `MAX_S`, or None if it asks for none.

    *now* is the Unix time in seconds, needed because the header may hold a date.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # Beyond nine digits it is past the limit anyway, and int() would refuse thousands of them.
        return MAX_S if len(text) > 9 else min(float(text), MAX_S)  # noqa: PLR2004
    try:
        when = parsedate_to_datetime(text)
        # A date without a zone is GMT, as every HTTP date is; datetime would take it for local time.
        at = when if when.tzinfo else when.replace(tzinfo=UTC)
        return min(max(at.timestamp() - now, 0.0), MAX_S)
    except (ValueError, OverflowError):
        return None
