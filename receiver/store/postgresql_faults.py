"""What a PostgreSQL server reports about itself, and when to abandon its connections.

A connection may survive although its server should no longer be written to: it became read-only, is shutting
down, or froze. So we judge a connection by what the server says on it, not only by whether it breaks.
"""

import select
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError

WIRE: Final = "receiver.wire"
_ROLLED_BACK: Final = frozenset(
    {
        "40001",  # serialization failure, in databases that speak PostgreSQL's protocol: also at COMMIT
        "40P01",  # deadlock
    }
)
_CONNECTION_CLASS: Final = "08"
_ELSEWHERE: Final = frozenset(
    {
        "0A000",  # cached plan must not change result type
        "25006",  # read-only, or in recovery
        "25P03",  # idle in a transaction for too long
        "25P04",  # transaction took too long
        "26000",  # prepared statement missing: another session prepared it
        "42P05",  # prepared statement exists already
        "57P01",  # the server is shutting down, or an operator ended the session
        "57P02",  # a crash elsewhere in the server
        "57P03",  # starting up, shutting down, or in recovery
        "57P04",  # the database was dropped
        "57P05",  # idle for too long
    }
)
"""SQLSTATEs after which another connection may do what this one cannot.
Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""
_CANCEL_S: Final = 5.0
_READ_ONLY: Final = (b"default_transaction_read_only", b"in_hot_standby")
"""What servers since 14 report about themselves unasked, with the answer to any statement."""


Address = tuple[str, str]
"""A host and a port, as a URL names them."""


class Generation:
    """Counts how often all connections were abandoned; a connection older than the count is not reused."""

    def __init__(self) -> None:
        self.number = 0
        self.silent: Address | None = None
        """The host that last gave no answer. Once it resumes it may still believe it is the primary."""

    def end(self) -> None:
        """Abandon all existing connections."""
        self.number += 1


class Wire:
    """One connection: the warnings from its server, and a way to close its socket from another thread."""

    def __init__(self, connection: Any, generation: Generation) -> None:
        self._connection = connection
        self._generation = generation
        self._born = generation.number
        self._address = (connection.info.host, str(connection.info.port))
        # Our own descriptor: the driver's may have been closed, and its number reused for another socket.
        self._socket = socket.socket(fileno=socket.dup(connection.fileno()))
        self._is_new = True
        self._is_born_read_only = self._is_read_only()
        self.warnings: list[str] = []
        connection.add_notice_handler(self._note)

    def is_usable(self) -> bool:
        """Whether to use it again; a new one always is, or nobody would see why it fails."""
        was_new, self._is_new = self._is_new, False
        if was_new:
            return True
        if self._is_read_only() and not self._is_born_read_only and self._is_current():
            self._generation.end()  # the others are on the same server
        return self._is_current()

    def cut(self) -> None:
        """Close its socket, so that whoever waits for the server continues; abandon all others too.

        Whatever runs on the server is cancelled. Otherwise it would hang there, for example until a standby
        is back.
        """
        import psycopg  # noqa: PLC0415  only where PostgreSQL is configured is its driver installed

        self._generation.end()
        self._generation.silent = self._address
        with suppress(psycopg.Error):
            cancel = self._connection.pgconn.cancel_conn()
            threading.Thread(target=_send, args=[cancel], name="cancel", daemon=True).start()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close our descriptor."""
        self._socket.close()

    def _is_current(self) -> bool:
        return self._born == self._generation.number

    def _is_read_only(self) -> bool:
        return any(self._connection.pgconn.parameter_status(name) == b"on" for name in _READ_ONLY)

    def _note(self, diagnostic: Any) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            self.warnings.append(f"{diagnostic.sqlstate}: {diagnostic.message_primary}")


def judge_connections(engine: Engine, generation: Generation) -> None:
    """Judge the connections of *engine*, a PostgreSQL engine, by what the server says on them."""

    def begin(connection: Any, record: Any) -> None:
        record.info[WIRE] = Wire(connection, generation)

    event.listen(engine, "connect", begin)
    event.listen(engine, "checkout", _choose)
    event.listen(engine, "close", _end)
    event.listen(engine, "handle_error", _judge)


def may_run_again(error: DBAPIError) -> bool:
    """Whether the transaction may run again: nothing was written, because its COMMIT had not begun.

    Its connection was found unusable, or it was the one that a deadlock sacrificed.
    """
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _ROLLED_BACK


def _judge(context: ExceptionContext) -> None:
    state = getattr(context.original_exception, "sqlstate", None) or ""
    if state in _ELSEWHERE or state.startswith(_CONNECTION_CLASS):
        context.is_disconnect = True  # and all connections made before it


def _choose(_connection: Any, record: Any, _proxy: Any) -> None:
    if not record.info[WIRE].is_usable():
        raise DisconnectionError("left for another")


def _end(_connection: Any, record: Any) -> None:
    with suppress(KeyError):  # it failed before it was judged
        record.info.pop(WIRE).close()


def _send(cancel: Any) -> None:
    """Send *cancel* step by step: the driver's single call holds the interpreter while it waits."""
    from psycopg import Error, pq  # noqa: PLC0415  as above

    deadline = time.monotonic() + _CANCEL_S
    wanted = {pq.PollingStatus.READING: select.POLLIN, pq.PollingStatus.WRITING: select.POLLOUT}
    with suppress(Error, OSError):
        cancel.start()
        while (events := wanted.get(cancel.poll())) and time.monotonic() < deadline:
            ready = select.poll()
            ready.register(cancel.socket, events)
            ready.poll(1000)
        cancel.finish()
