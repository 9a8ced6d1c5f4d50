"""Which events still need their asset."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from receiver.store.tables import EVENT, PENDING

AT_ONCE: Final = 500
"""Databases limit the number of parameters."""


def awaiting_asset(connection: Connection, event_ids: Sequence[str]) -> set[str]:
    """Return which of *event_ids* are not settled yet."""
    found: set[str] = set()
    for start in range(0, len(event_ids), AT_ONCE):
        wanted = EVENT.c.id.in_(event_ids[start : start + AT_ONCE])
        found |= set(connection.execute(select(EVENT.c.id).where(wanted, EVENT.c.state == PENDING)).scalars())
    return found
