"""Changes PostgreSQL's tables while deliveries come in.

A statement that waits for a lock blocks everyone who comes after it. So it waits for a fraction of a second,
gives up, lets the others through, and tries again for as long as it takes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from psycopg import sql
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from receiver.store.migrations.building import Tell, holders
from receiver.store.postgres_url import Target
from receiver.store.postgresql import Session, open_session

LOCK_KEY: Final = 0x7265_6365_6976_6572
"""An arbitrary constant of our own: concurrent migrations wait for each other."""
_LOCK_WAIT: Final = "300ms"
_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 3.0
_TELL_S: Final = 5.0
_BUSY: Final = {"55P03", "40P01"}
"""The lock was not available in time, or a deadlock was broken."""


@contextmanager
def alone(target: Target, tell: Tell) -> Iterator[Session]:
    """Hold the lock for migrations in a transaction on its own connection, and yield that connection."""
    with open_session(target) as session:
        said = False
        # Polled, because a waiting statement is a transaction that an index build would wait for.
        while not _take(session):
            if not said:
                tell("another migration is under way; waiting for its end")
                said = True
            time.sleep(_PAUSE_S)
        yield session


def _take(session: Session) -> bool:
    row = session.execute(sql.SQL("SELECT pg_try_advisory_xact_lock({})").format(LOCK_KEY)).fetchone()
    if row is None or not row[0]:
        session.rollback()
        return False
    # The last statement takes no snapshot: an index build waits for all snapshots older than itself.
    session.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    return True


def revise(engine: Engine, target: Target, change: Callable[..., None], tell: Tell, *, name: str) -> None:
    """Make one *change* in its own transaction, repeated until it gets its locks."""
    pause_s, told_at = _PAUSE_S, float("-inf")
    while True:
        try:
            with engine.begin() as connection:
                connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'"))
                change(connection)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _BUSY:
                raise
        else:
            return
        if time.monotonic() - told_at > _TELL_S:
            told_at = time.monotonic()
            with open_session(target) as session:
                session.autocommit = True
                tell(f"{name} waits for a table, and tries again: held by {holders(session)}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
