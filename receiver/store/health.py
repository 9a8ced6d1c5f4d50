"""Whether the store can take an event right now."""

import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete

from receiver.errors import StoreUnavailable
from receiver.store.fanout import FanOut
from receiver.store.migrations import current, revisions
from receiver.store.record import Arrival, NewQuarantine, Written, record
from receiver.store.tables import EVENT, QUARANTINE

_PROBE_BYTES: Final = 4096
"""About what a delivery takes, and nothing that could be compressed."""
_REMEMBER_S: Final = 10.0
_NO_ROOM: Final = ("53", "58")
"""Classes of SQLSTATEs: insufficient resources, and errors of the system."""
_TOO_MANY_CONNECTIONS: Final = "53300"
_NO_ROOM_SQLITE: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


@dataclass(frozen=True, slots=True)
class Probe:
    """What is recorded to see whether something can be."""


class Trouble:
    """Whether a delivery found no room a moment ago: a probe may find some where a delivery does not."""

    def __init__(self) -> None:
        self._why = ""
        self._until = 0.0

    def note(self, error: StoreUnavailable) -> None:
        """Remember what a delivery was refused with, if it is about room or the disk."""
        if _is_about_room(error):
            self._why = str(error)
            self._until = time.monotonic() + _REMEMBER_S

    def forget(self) -> None:
        """Note that a delivery was recorded."""
        self._until = 0.0

    def refuse(self) -> None:
        """Refuse while it is remembered.

        Raises:
            StoreUnavailable: what was noted.
        """
        if time.monotonic() < self._until:
            raise StoreUnavailable(self._why)


def check(connection: Connection) -> None:
    """Refuse unless the schema fits this release. Changes nothing.

    A revision this release does not know is a newer release's, and fits: a rolling deployment migrates first.

    Raises:
        StoreUnavailable: there is no schema, or an older one than this release needs.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    revision, known = current(connection), revisions()
    if revision is None or revision in known[1:]:
        raise StoreUnavailable(
            f"the schema is at {revision or 'nothing'}, not {known[0]}: run `receiver migrate`"
        )


def record_or_prove(
    connection: Connection, batch: Sequence[Arrival | Probe], *, fan_out: FanOut
) -> list[Written | None]:
    """Record the arrivals of *batch*; if there are none, see whether there could be.

    Arrivals that are committed prove it themselves, so that a probe costs them nothing and cannot fail them.
    """
    arrivals = [one for one in batch if not isinstance(one, Probe)]
    if not arrivals:
        _prove(connection)
    written = iter(record(connection, arrivals, fan_out=fan_out))
    return [None if isinstance(one, Probe) else next(written) for one in batch]


def _prove(connection: Connection) -> None:
    """Write a row that nobody else sees, under the locks that a delivery needs."""
    body, name = secrets.token_bytes(_PROBE_BYTES), secrets.token_hex(16)
    probe = NewQuarantine(name, "readyz", secrets.token_hex(32), "probe", body, 0)
    record(connection, [Arrival(probe)])
    connection.execute(delete(QUARANTINE).where(QUARANTINE.c.id == name))
    connection.execute(delete(EVENT).where(EVENT.c.id == ""))


def _is_about_room(error: BaseException | None) -> bool:
    while error is not None:
        original = getattr(error, "orig", error)
        state = getattr(original, "sqlstate", None) or ""
        if state.startswith(_NO_ROOM) and state != _TOO_MANY_CONNECTIONS:
            return True
        if isinstance(original, sqlite3.Error):
            return getattr(original, "sqlite_errorcode", 0) & 0xFF in _NO_ROOM_SQLITE
        error = error.__cause__
    return False
