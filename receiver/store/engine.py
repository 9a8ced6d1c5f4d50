"""The engine for a database URL, and how SQLite and PostgreSQL differ once connected: locking, waking."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from sqlalchemy import Connection, Dialect, Engine, Table

from receiver.errors import ConfigError
from receiver.store.database_url import parse
from receiver.store.sqlite import connect_sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

WAKE_CHANNEL: Final = "receiver_work"

_WAKES: Final = "receiver.wakes"
_NOTIFY: Final = "SELECT pg_notify(%b, topic) FROM unnest(%b::text[]) AS topic"

Record = TypeVar("Record")


def connect(url: str, *, busy_timeout_s: float = 5.0) -> Engine:
    """Return an engine on which every transaction is durable once committed.

    On SQLite a transaction waits up to *busy_timeout_s* seconds for other processes.

    Raises:
        ConfigError: the URL is neither `sqlite:///path` nor `postgresql://…`, one of its parameters is wrong,
            or its driver is missing.
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        return connect_sqlite(parsed, busy_timeout_s)
    try:
        # The PostgreSQL driver is installed only where it is needed.
        from receiver.store.postgresql import connect_postgres  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            "PostgreSQL needs its driver: pip install 'avs-receiver[postgres]'", "database_url"
        ) from error
    return connect_postgres(parsed)


def database_exists(url: str) -> bool:
    """Whether there is a database at *url*: a file that exists, or a server. It is not opened."""
    try:
        parsed = parse(url)
    except ConfigError:
        return False
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file()


def is_sqlite(engine: Engine) -> bool:
    """Whether *engine* is the embedded database, which allows one writer at a time."""
    return engine.dialect.name == "sqlite"


def insert_into(table: Table, dialect: Dialect) -> "postgresql.Insert | sqlite.Insert":
    """Return an INSERT with the dialect's own clause for conflicts."""
    # Each is slow to import, and only one is needed.
    if dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415

    return sqlite.insert(table)


def read_as(data: type[Record], row: Any, /, **given: Any) -> Record:
    """Return *row* as an instance of the dataclass *data*. Its fields are columns, except those *given*."""
    names = {each.name for each in fields(cast("Any", data))} - given.keys()
    return data(**{name: getattr(row, name) for name in names}, **given)


def execute(connection: Connection, statement: str, parameters: Sequence[Any] = ()) -> Any:
    """Run *statement* within the transaction of *connection*; return the driver's cursor.

    For the hot statements, where SQLAlchemy's overhead is many times the cost. Errors still go through
    SQLAlchemy, so this raises what `Connection.execute` does. Its event listeners see these statements too.
    """
    if connection.engine.dispatch.before_cursor_execute:
        return connection.exec_driver_sql(statement, tuple(parameters))
    driver: Any = connection.connection.dbapi_connection
    try:
        return driver.execute(statement, parameters)
    except Exception as error:  # noqa: BLE001  SQLAlchemy tells them apart
        connection._handle_dbapi_exception(error, statement, parameters, None, None)  # noqa: SLF001  no other way


def wake_others(connection: Connection, topic: str) -> None:
    """Wake workers on other machines once this transaction is committed. SQLite has none.

    The notification is sent outside the transaction. A commit that notifies waits for every other such commit
    on the server, and fails if the server's notification queue is full.
    """
    if connection.dialect.name == "postgresql":
        connection.info.setdefault(_WAKES, set()).add(topic)


def take_wakes(connection: Connection) -> frozenset[str]:
    """Return the topics that the transaction wakes, and clear them."""
    return frozenset(connection.info.pop(_WAKES, ()))


def notify(connection: Connection, topics: Collection[str]) -> None:
    """Wake the workers on other machines that wait for any of *topics*."""
    execute(connection, _NOTIFY, (WAKE_CHANNEL, sorted(topics)))
