"""Times as the API writes and reads them."""

from datetime import UTC, datetime

from receiver.sandbox.dialect import Dialect


def timestamp(at: float, dialect: Dialect) -> str:
    """Format *at*, seconds since the epoch, as the dialect writes times."""
    time = datetime.fromtimestamp(at, UTC)
    if dialect.timestamps == "milliseconds":
        return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    written = time.isoformat(timespec="seconds")
    return written if dialect.timestamps == "offset" else written.replace("+00:00", "Z")


def seconds(text: str) -> float:
    """Parse an ISO 8601 time into seconds since the epoch; without an offset it is UTC.

    Raises:
        ValueError: it is not one.
    """
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
