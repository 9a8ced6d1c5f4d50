"""The latest failed attempt at each asset and delivery, kept as the work is settled.

A successful attempt has no row: its time is in the delivery or the asset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from receiver.outcomes import MAX_SAID_BYTES, FailedAttempt
from receiver.store.engine import read_as
from receiver.store.rows import insert_or_replace
from receiver.store.tables import ATTEMPT
from receiver.telemetry.redact import redact

KEPT: Final = 20
"""Maximum for each; attempt 21 replaces the first."""
FILE: Final = ""
"""Stands in for the destination of an attempt at an event's asset. No destination has this name."""
LATE_FILE: Final = ":late"
"""The same, after the event was sent without it."""

_MAX_ERROR_CHARS: Final = 1_000
_KEY: Final = ("event_id", "destination", "slot")


@dataclass(frozen=True, slots=True)
class KeptAttempt:
    """A failed attempt. Times are milliseconds since the epoch."""

    event_id: str
    destination: str
    """Or `FILE`, or `LATE_FILE`."""
    number: int
    """Counted from 1. A parked attempt is given back, so the next one reuses its number."""
    began_ms: int
    took_ms: int
    error: str
    said: str


def keep_failures(
    connection: Connection, failures: Mapping[tuple[str, str], tuple[int, FailedAttempt]]
) -> None:
    """Record failures by event and destination, with their attempt numbers. The caller holds the leases."""
    rows = [
        {
            "event_id": event_id,
            "destination": destination,
            "slot": number % KEPT,
            "number": number,
            "began_ms": failed.began_ms,
            "took_ms": failed.took_ms,
            "error": storable(failed.error)[:_MAX_ERROR_CHARS],
            "said": _said(failed.said),
        }
        for (event_id, destination), (number, failed) in failures.items()
    ]
    if rows:
        insert_or_replace(connection, ATTEMPT, _KEY, rows)


def kept_attempts(
    connection: Connection, event_id: str, destination: str | None = None
) -> Sequence[KeptAttempt]:
    """Return the recorded failures of an event, or of one of its deliveries, oldest first."""
    ours = select(ATTEMPT).where(ATTEMPT.c.event_id == event_id)
    if destination is not None:
        ours = ours.where(ATTEMPT.c.destination == destination)
    rows = connection.execute(ours.order_by(ATTEMPT.c.began_ms, ATTEMPT.c.number))
    return [read_as(KeptAttempt, row) for row in rows]


def _said(body: bytes) -> str:
    """Return the start of an answer, safe to store and show."""
    text = body[:MAX_SAID_BYTES].decode("utf-8", "backslashreplace")
    # JSON may escape a slash with a backslash, and then no URL would be recognised.
    return storable(redact(text.replace("\\/", "/")))[:MAX_SAID_BYTES]


def storable(text: str) -> str:
    """Return *text* in a form that every database accepts, with invalid characters escaped."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
