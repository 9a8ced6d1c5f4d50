"""The rate limit of each API key, shared by all programs on one database."""

import sqlite3
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, event, select, update

from receiver.pace import KeyPace
from receiver.store.engine import is_sqlite
from receiver.store.rows import insert_new
from receiver.store.tables import PACE
from receiver.store.transactions import transact_in_time
from receiver.store.writer import Writer

_NEW: Final = {"opened_ms": 0, "paused_ms": 0, "skew_ms": 0}

T = TypeVar("T")


class StorePace:
    """Keeps the pace of each key. Blocks; safe for any number of threads and processes.

    Args:
        engine: the store's database. On SQLite its connections no longer flush at each commit, so do not use
            it for anything that must survive a power cut.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = Writer(engine)
        if is_sqlite(engine):
            event.listen(engine, "connect", _without_flush)

    def change(self, name: str, change: Callable[[KeyPace], tuple[KeyPace, T]]) -> T:
        """Replace the named pace with the one *change* makes of it, under a lock; return its result.

        Raises:
            StoreUnavailable: the database fails, or its schema is older than this release.
        """

        def work(connection: Connection) -> T:
            changed, result = change(self._locked(connection, name))
            connection.execute(update(PACE).where(PACE.c.name == name).values(_values(changed)))
            return result

        with self._writer:
            return transact_in_time(self._engine, work)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _locked(self, connection: Connection, name: str) -> KeyPace:
        kept = select(PACE).where(PACE.c.name == name).with_for_update()
        row = connection.execute(kept).one_or_none()
        if row is None:
            insert_new(connection, PACE, ("name",), [{"name": name, **_NEW}])
            row = connection.execute(kept).one()
        return KeyPace(
            limit=row.most,
            remaining=row.remaining,
            reset_at=None if row.reset_ms is None else row.reset_ms / 1000,
            opened_at=row.opened_ms / 1000,
            paused_until=row.paused_ms / 1000,
            skew_s=row.skew_ms / 1000,
        )


def _values(pace: KeyPace) -> dict[str, Any]:
    return {
        "most": pace.limit,
        "remaining": pace.remaining,
        "reset_ms": None if pace.reset_at is None else round(pace.reset_at * 1000),
        "opened_ms": round(pace.opened_at * 1000),
        "paused_ms": round(pace.paused_until * 1000),
        "skew_ms": round(pace.skew_s * 1000),
    }


def _without_flush(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
