"""What a PostgreSQL server says of itself, and when its connections are left for others.

A connection may live on although its server is no longer the one to write to: it became read-only, is
shutting down, or froze. So it is judged by what the server says on it, not only by whether it breaks.
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
        "40001",  # a serialization failure, of databases that speak PostgreSQL's protocol: also at COMMIT
        "40P01",  # a deadlock
    }
)
_CONNECTION_CLASS: Final = "08"
_ELSEWHERE: Final = frozenset(
    {
        "0A000",  # cached plan must not change result type
        "25006",  # read-only, or in recovery
        "25P03",  # idle in transaction for too long
        "25P04",  # a transaction that took too long
        "26000",  # a prepared statement that is not there: another session than the one that prepared it
        "42P05",  # a prepared statement that is there already
        "57P01",  # the server is shut down, or an operator ended the session
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
"""What servers since 14 report of themselves without being asked, with the answer to any statement."""


Address = tuple[str, str]
"""A host and a port, as a URL names them."""


class Generation:
    """Counts how often all connections were left; one that is older than the count is not used again."""

    def __init__(self) -> None:
        self.number = 0
        self.silent: Address | None = None
        """Who gave no answer last. Once it goes on it may still take itself for the primary."""

    def end(self) -> None:
        """Leave all connections that there are."""
        self.number += 1


class Wire:
    """One connection: what its server warned of, and a way to close its socket from another thread."""

    def __init__(self, connection: Any, generation: Generation) -> None:
        self._connection = connection
        self._generation = generation
        self._born = generation.number
        self._address = (connection.info.host, str(connection.info.port))
        # A descriptor of our own: the driver's may have been closed, and its number given to another socket.
        self._socket = socket.socket(fileno=socket.dup(connection.fileno()))
        self._is_new = True
        self._is_born_read_only = self._is_read_only()
        self.warnings: list[str] = []
        connection.add_notice_handler(self._note)

    def is_usable(self) -> bool:
        """Whether it is to be used once more; a new one always is, or nobody would hear why it cannot be."""
        was_new, self._is_new = self._is_new, False
        if was_new:
            return True
        if self._is_read_only() and not self._is_born_read_only and self._is_current():
            self._generation.end()  # the others are on the same server
        return self._is_current()

    def cut(self) -> None:
        """Close its socket, so that who waits for the server goes on, and leave all others as well.

        What runs in the server is cancelled: it would be held there for as long as, say, a standby is away.
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
        """Give our descriptor back."""
        self._socket.close()

    def _is_current(self) -> bool:
        return self._born == self._generation.number

    def _is_read_only(self) -> bool:
        return any(self._connection.pgconn.parameter_status(name) == b"on" for name in _READ_ONLY)

    def _note(self, diagnostic: Any) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            self.warnings.append(f"{diagnostic.sqlstate}: {diagnostic.message_primary}")


def judge_connections(engine: Engine, generation: Generation) -> None:
    """Judge the connections of *engine*, which is PostgreSQL's, by what is said on them."""

    def begin(connection: Any, record: Any) -> None:
        record.info[WIRE] = Wire(connection, generation)

    event.listen(engine, "connect", begin)
    event.listen(engine, "checkout", _choose)
    event.listen(engine, "close", _end)
    event.listen(engine, "handle_error", _judge)


def may_run_again(error: DBAPIError) -> bool:
    """Whether the transaction may be run once more, unless its COMMIT was under way: nothing was written.

    Its connection was found unusable, or it and another waited for each other, and that one had its way.
    """
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _ROLLED_BACK


def _judge(context: ExceptionContext) -> None:
    state = getattr(context.original_exception, "sqlstate", None) or ""
    if state in _ELSEWHERE or state.startswith(_CONNECTION_CLASS):
        context.is_disconnect = True  # and so are all that were made before it


def _choose(_connection: Any, record: Any, _proxy: Any) -> None:
    if not record.info[WIRE].is_usable():
        raise DisconnectionError("left for another")


def _end(_connection: Any, record: Any) -> None:
    with suppress(KeyError):  # it failed before it was judged
        record.info.pop(WIRE).close()


def _send(cancel: Any) -> None:
    """Send *cancel* by turns: the driver's call that does it in one holds the interpreter while it waits."""
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
