"""Connections, and everything in which SQLite and PostgreSQL differ: durability, locking, waking."""

import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Table,
    and_,
    create_engine,
    event,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from receiver.errors import ConfigError
from receiver.store.postgresql_faults import judge_connections

WAKE_CHANNEL: Final = "receiver_work"

_NOTIFY: Final = text("SELECT pg_notify(:channel, :topic)")
_POSTGRES: Final = {
    "connect_timeout": 5,
    "application_name": "receiver",
    # A machine that is gone is found out within 19 s on an idle connection, and sooner on a busy one. The
    # kernel's own interval is 75 s.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_POSTGRES_OPTIONS: Final = "-c statement_timeout=10000 -c lock_timeout=5000"


def connect(url: str, *, busy_timeout_s: float = 5.0) -> Engine:
    """Return an engine on which every transaction is durable once committed.

    On SQLite a transaction waits up to *busy_timeout_s* seconds for those of other processes.

    Raises:
        ConfigError: the URL is neither `sqlite:///path` nor `postgresql://…`, or its driver is missing.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _connect_sqlite(parsed, busy_timeout_s)
    return _connect_postgres(parsed)


def database_exists(url: str) -> bool:
    """Whether there is a database at *url*: a file, or a server that may have one. It is not opened."""
    try:
        parsed = _parse(url)
    except ConfigError:
        return False
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file()


def is_sqlite(engine: Engine) -> bool:
    """Whether *engine* is the embedded database, which has one writer at a time."""
    return engine.dialect.name == "sqlite"


def insert_into(table: Table, dialect: Dialect) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT that can say what to do on a conflict, which each dialect writes in its own way."""
    return postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)


def one_of(
    connection: Connection, columns: Sequence[Column[Any]], rows: Collection[tuple[Any, ...]]
) -> ColumnElement[bool]:
    """Return the condition that the values of *columns* are one of *rows*."""
    listed = tuple_(*columns).in_(rows)
    if connection.dialect.name != "sqlite":
        return listed
    # SQLite looks up a list of values in an index, but not one of rows: it would read the whole table.
    values = zip(columns, zip(*rows, strict=True), strict=False)
    return and_(*(column.in_(set(found)) for column, found in values), listed)


def wake_others(connection: Connection, topic: str) -> None:
    """Wake the workers on other machines when this transaction commits. SQLite has none."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY, {"channel": WAKE_CHANNEL, "topic": topic})


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError):
        raise _bad_url("it is not a URL") from None
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise _bad_url(f"{parsed.get_backend_name()!r} is not supported")
    return parsed


def _bad_url(why: str) -> ConfigError:
    return ConfigError(
        f"RECEIVER_DATABASE_URL: {why}; write sqlite:///data/receiver.db or postgresql://user@host/name"
    )


def _connect_sqlite(url: URL, busy_timeout_s: float) -> Engine:
    if not url.database or url.database == ":memory:":
        raise _bad_url("an in-memory database would lose events")
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _bad_url(f"cannot create {folder} ({error.strerror})") from error
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
        raise _bad_url(f"cannot open {path} ({error})") from error
    except sqlite3.DatabaseError as error:
        raise _bad_url(f"{path} is no SQLite database ({error})") from error


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock first: a transaction that read before it wrote could lose an update."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _connect_postgres(url: URL) -> Engine:
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=postgres_arguments(url),
            pool_pre_ping=False,
            pool_recycle=1800,
            pool_size=8,
        )
    except ModuleNotFoundError as error:
        raise ConfigError(
            "RECEIVER_DATABASE_URL names PostgreSQL, whose driver is not installed: "
            "pip install 'avs-receiver[postgres]'"
        ) from error
    event.listen(engine, "connect", _prepare_postgres)
    judge_connections(engine)
    return engine


def postgres_arguments(url: URL) -> dict[str, Any]:
    """Return libpq's connection parameters beside the URL; what the URL says itself wins."""
    told = url.query.get("options", "")
    options = " ".join((_POSTGRES_OPTIONS, *((told,) if isinstance(told, str) else told)))
    hosts = url.query.get("host", "")
    several = not isinstance(hosts, str) or "," in hosts
    # Of several hosts the one that takes writes is meant.
    ours = _POSTGRES | ({"target_session_attrs": "read-write"} if several else {})
    return {name: value for name, value in ours.items() if name not in url.query} | {
        "options": options.strip()
    }


def _prepare_postgres(connection: Any, _record: Any) -> None:
    """Insist on durable commits where the server's default is `off`; never weaken a stronger one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()
