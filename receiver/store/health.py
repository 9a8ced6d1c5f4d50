"""Whether the store can take an event right now."""

import secrets
import sqlite3
import time
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete

from receiver.errors import StoreUnavailable
from receiver.store.migrations import current, revisions
from receiver.store.record import Arrival, NewQuarantine, record
from receiver.store.tables import EVENT, QUARANTINE

_PROBE_BYTES: Final = 4096
"""About the size of a delivery, and incompressible."""
_REMEMBER_S: Final = 10.0
_NO_ROOM: Final = ("53", "58")
"""Classes of SQLSTATEs: insufficient resources, and system errors."""
_TOO_MANY_CONNECTIONS: Final = "53300"
_NO_ROOM_SQLITE: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


class Trouble(NamedTuple):
    """Remembers that a delivery recently found no room: a smaller probe may still fit."""

    why: str
    until: float

    def refuse(self) -> None:
        """Raise the error again for as long as it is remembered.

        Raises:
            StoreUnavailable: the error that refused the delivery.
        """
        if time.monotonic() < self.until:
            raise StoreUnavailable(self.why)


def trouble(error: StoreUnavailable) -> Trouble | None:
    """Return what to remember of a delivery refused with *error*, if that was about room or the disk."""
    return Trouble(str(error), time.monotonic() + _REMEMBER_S) if _is_about_room(error) else None


def check(connection: Connection) -> None:
    """Refuse unless the schema fits this release. Changes nothing.

    An unknown revision belongs to a newer release, and fits: a rolling deployment migrates first.

    Raises:
        StoreUnavailable: the schema is missing, or older than this release needs.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    revision, known = current(connection), revisions()
    if revision is None or revision in known[1:]:
        raise StoreUnavailable(
            f"the schema is at {revision or 'nothing'}, not {known[0]}: run `receiver migrate`"
        )


def prove(connection: Connection) -> None:
    """Test that a delivery could be recorded: write a row that nobody else sees, under the same locks."""
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
