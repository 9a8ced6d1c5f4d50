"""Insert events into a PostgreSQL table, and notify a channel of each.

URL: libpq's form. Its query is libpq's too, so it holds none of our options.
See docs/destinations/postgresql.md.
"""

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar

from psycopg import AsyncConnection, Error, OperationalError, ProgrammingError, errors
from psycopg.conninfo import conninfo_to_dict

from receiver.destinations import Message
from receiver.destinations.options import flag, option, read_options, setting
from receiver.destinations.postgresql_table import (
    Table,
    blames_a_row,
    is_full_queue,
    is_wrong_table,
    lacks_partition,
    summary,
)
from receiver.destinations.tls import TlsOptions, check_certificate
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry

_PLANNED: Final = ("00000000-0000-0000-0000-000000000000", "", "", "", "{}")
"""A row that is never inserted."""
T = TypeVar("T")
_Connection = AsyncConnection[tuple[Any, ...]]

_DEFAULTS: Final = {"application_name": "receiver", "keepalives_idle": 30}
_ENCODING: Final = {"client_encoding": "utf8"}
"""Our encoding, whatever the database's: the server converts, and refuses rows that it cannot encode."""
_MAX_IDENTIFIER_BYTES: Final = 63
_WHY: Final = re.compile(r"(?:FATAL|SSL error): +(.{1,200})|\bfailed: +(?!FATAL|SSL error)(.{1,200})")
"""The end of a libpq line about one server, with the server's or OpenSSL's own words."""
# A batch that waits for a lock is cancelled on the server too. Durability is never weakened.
_PREPARE: Final = """
    SELECT set_config('statement_timeout', %s, false),
           CASE current_setting('synchronous_commit')
               WHEN 'off' THEN set_config('synchronous_commit', 'on', false)
           END
"""


def _table_name(text: str) -> tuple[str, ...]:
    parts = tuple(text.split("."))
    if len(parts) > 2 or not all(_is_identifier(part) for part in parts):  # noqa: PLR2004  # schema and table
        raise ValueError("the name of a table, or schema.table, each of 1 to 63 bytes")
    return parts


def _channel(text: str) -> str:
    if not _is_identifier(text):
        raise ValueError("the name of a channel, of 1 to 63 bytes")
    return text


def _is_identifier(text: str) -> bool:
    return 1 <= len(text.encode()) <= _MAX_IDENTIFIER_BYTES and text.isprintable()


@dataclass(frozen=True, slots=True)
class Options(TlsOptions):
    """Options besides the URL."""

    table: tuple[str, ...] = option(_table_name, ("receiver_events",))
    create: bool = option(flag, default=False)
    notify: str | None = option(_channel, None)


def connect(name: str, url: str, options: Mapping[str, str]) -> "PostgresTable":
    """Return the destination for a `postgresql:` URL. See `receiver.destinations.Connect`."""
    try:
        parameters = conninfo_to_dict(url)
    except ProgrammingError:
        raise ConfigError(
            f"{setting(name, 'url')} must look like postgresql://user:password@host:5432/database"
        ) from None
    settings = read_options(Options, name, options)
    check_certificate(name, settings, encrypted=parameters.get("sslmode") not in ("disable", "allow"))
    _check_key(name, settings)
    return PostgresTable(name, {**_DEFAULTS, **parameters, **_files(settings), **_ENCODING}, settings)


def _check_key(name: str, options: Options) -> None:
    """Check at start what libpq would check at each connection.

    Source: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-CLIENTCERT
    """
    path = options.key_file or options.cert_file
    if path is None:
        return
    status = Path(path).stat()
    if status.st_mode & (0o037 if status.st_uid == 0 else 0o077):
        which = setting(name, "key_file" if options.key_file else "cert_file")
        raise ConfigError(
            f"{which} must be readable only by its owner (chmod 0600), or libpq refuses the key"
        )


def _files(options: Options) -> dict[str, str]:
    files = {
        "sslrootcert": options.ca_file,
        "sslcert": options.cert_file,
        "sslkey": options.key_file or options.cert_file,
    }
    return {key: path for key, path in files.items() if path}


class PostgresTable:
    """Inserts batches into one table, over as many connections as batches run at once."""

    max_batch: Final = 500
    concurrency: Final = 1

    def __init__(self, name: str, parameters: Mapping[str, Any], options: Options) -> None:
        self._name = name
        self._parameters = parameters
        self._options = options
        self._table = Table(options.table, options.notify)
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._closed = False

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Insert *batch* in one transaction, or in several if a row of it is refused."""
        if not batch:
            return []
        try:
            async with asyncio.timeout(self._options.timeout_s), self._connected() as connection:
                return await _unless_cancelled(self._insert(connection, batch), connection)
        except TimeoutError:
            return [Retry(f"PostgreSQL did not answer within {self._options.timeout_s:g} s")] * len(batch)
        except Error as error:
            return [Retry(self._explain(error))] * len(batch)

    async def check(self) -> Delivered | Retry:
        """Sign in, and plan the insert: that needs the table and the permissions for it."""
        try:
            async with asyncio.timeout(self._options.timeout_s), self._connected() as connection:
                return await _unless_cancelled(self._plan(connection), connection)
        except TimeoutError:
            return Retry(f"PostgreSQL did not answer within {self._options.timeout_s:g} s")
        except Error as error:
            return Retry(self._explain(error))

    async def _plan(self, connection: _Connection) -> Delivered:
        try:
            await connection.execute(self._table.plan(), _PLANNED)
        except errors.UndefinedTable:
            if not self._options.create:
                raise
            return Delivered(f"signed in; {self._table} will be created")
        return Delivered(f"signed in; {self._table} takes events")

    async def aclose(self) -> None:
        """Close the connections, including those of a batch in progress."""
        self._closed = True
        for connection in self._busy:
            _hang_up(connection)
        while self._idle:
            await self._idle.pop().close()

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Connection]:
        """Lend a connection; after an error it is not reused."""
        connection = self._idle.pop() if self._idle else await self._connect()
        self._busy.add(connection)
        usable = False
        try:
            yield connection
            usable = not self._closed
        finally:
            self._busy.discard(connection)
            if usable:
                self._idle.append(connection)
            else:
                await connection.close()

    async def _connect(self) -> _Connection:
        # Statements are not prepared: their text differs with the size of the batch.
        connection = await AsyncConnection.connect(
            **self._parameters, autocommit=True, prepare_threshold=None
        )
        try:
            timeout_ms = max(int(self._options.timeout_s * 1000), 1)  # 0 would mean no limit
            await _unless_cancelled(connection.execute(_PREPARE, [str(timeout_ms)]), connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _insert(self, connection: _Connection, batch: Sequence[Message]) -> Sequence[Outcome]:
        try:
            return await self._insert_apart(connection, batch)
        except errors.UndefinedTable:
            if not self._options.create:
                raise
        # Another worker may be creating it now: its name, its row type or the table itself exists then.
        with contextlib.suppress(errors.UniqueViolation, errors.DuplicateObject, errors.DuplicateTable):
            await connection.execute(self._table.create())
        return await self._insert_apart(connection, batch)

    async def _insert_apart(self, connection: _Connection, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Insert *batch* at once, or in halves as long as a row is refused."""
        try:
            rows = [*chain.from_iterable(map(_row, batch))]
            done = await connection.execute(self._table.insert(len(batch)), rows)
        except Error as error:
            if not blames_a_row(error):
                raise
            if len(batch) == 1:
                return [self._refused(error)]
            middle = len(batch) // 2
            first = await self._insert_apart(connection, batch[:middle])
            return [*first, *await self._insert_apart(connection, batch[middle:])]
        return await self._confirm(connection, batch, new_rows=done.rowcount)

    def _refused(self, error: Error) -> Outcome:
        if lacks_partition(error):
            return Retry(f"{self._table} has no partition for the event ({setting(self._name, 'table')})")
        return GivenUp(f"PostgreSQL refused the event: {summary(error)}")

    async def _confirm(
        self, connection: _Connection, batch: Sequence[Message], *, new_rows: int
    ) -> Sequence[Outcome]:
        """Look for rows not inserted: a repeat exists, a row that a trigger silently dropped does not."""
        wanted = {message.id for message in batch}
        if new_rows == len(wanted):
            return [Delivered()] * len(batch)
        found = await connection.execute(self._table.find(), [list(wanted)])
        held = {str(row[0]) for row in await found.fetchall()}
        dropped = Retry(
            f"{self._table} has no row of the event, though PostgreSQL reported no error: does a trigger "
            f"drop rows, or row-level security hide them? ({setting(self._name, 'table')})"
        )
        return [Delivered() if message.id in held else dropped for message in batch]

    def _explain(self, error: Error) -> str:
        url, table, create = (setting(self._name, each) for each in ("url", "table", "create"))
        statement = self._table.create().as_string()
        match error:
            case errors.UndefinedTable():
                return (
                    f"there is no table {self._table}: set {create}=true, correct {table}, or run {statement}"
                )
            case errors.InsufficientPrivilege():
                more = ", and CREATE on its schema" if self._options.create else ""
                return f"the user in {url} lacks INSERT, SELECT (id) ON {self._table}{more}: GRANT it"
            case _ if is_wrong_table(error):
                return (
                    f"the table {self._table} in {table} does not fit ({summary(error)}), unlike: {statement}"
                )
            case _ if is_full_queue(error):
                return (
                    f"PostgreSQL's queue of notifications is full: end the transaction of a listener ({url})"
                )
            case OperationalError(sqlstate=None):
                found = _WHY.search(str(error))
                why = (found[1] or found[2]) if found else type(error).__name__
                return f"PostgreSQL could not be reached, or refused to sign in: {why} ({url})"
            case _:
                return f"PostgreSQL refused the batch: {summary(error)} ({url})"


def _row(message: Message) -> tuple[str, str, str, str, str]:
    return message.id, message.type, message.source, message.generation_id, message.body.decode()


async def _unless_cancelled(work: Coroutine[Any, Any, T], connection: _Connection) -> T:
    """Do *work*, and break *connection* if cancelled: psycopg would first ask a server that may hang."""
    working = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        _hang_up(connection)
        await asyncio.gather(working, return_exceptions=True)
        raise


def _hang_up(connection: _Connection) -> None:
    with (
        contextlib.suppress(OSError, Error),
        socket.socket(fileno=os.dup(connection.pgconn.socket)) as end,
    ):
        end.shutdown(socket.SHUT_RDWR)
