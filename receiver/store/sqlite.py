"""SQLite: one file, durable commits, one writer at a time."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from receiver.store.database_url import bad_url


def connect_sqlite(url: URL, busy_timeout_s: float) -> Engine:
    """Return an engine on the file that *url* names; its folder is made."""
    if not url.database or url.database == ":memory:":
        raise bad_url("an in-memory database would lose events")
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise bad_url(f"cannot create {folder} ({error.strerror})") from error
    _require_openable(url.database)
    engine = create_engine(
        url.set(drivername="sqlite"), connect_args={"timeout": busy_timeout_s, "isolation_level": None}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _require_openable(path: str) -> None:
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        raise bad_url(f"cannot open {path} ({error})") from error
    except sqlite3.DatabaseError as error:
        raise bad_url(f"{path} is no SQLite database ({error})") from error


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock first: a transaction that read before it wrote could lose an update."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
