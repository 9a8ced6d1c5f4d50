"""Allows one writer at a time, and gives a forked process its own connections."""

import threading
from types import TracebackType
from typing import Final

from sqlalchemy import Engine, Pool

from receiver import forks
from receiver.errors import StoreUnavailable
from receiver.store.engine import is_sqlite

_QUIET_S: Final = 10.0
"""How long a fork waits until no thread uses a SQLite file."""
_of_parents: Final[list[Pool]] = []
"""Kept from being closed, which would say goodbye to the server on the parent's connections."""


class Writer(forks.Forkable):
    """Lets one thread at a time use a SQLite file, and any number use a server.

    SQLite does not queue waiting writers; here none of them starves. SQLite's locks also do not survive a
    fork: a child would take its parent's for its own (https://sqlite.org/howtocorrupt.html). So the file is
    closed while the process forks, and the next writer opens it again.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._embedded = is_sqlite(engine)
        self._quiet = False
        self._spoiled = False
        forks.watch(self)

    def before_fork(self) -> None:
        """Wait for the turn, and close the file."""
        self._quiet = self._embedded and self._turn.acquire(timeout=_QUIET_S)
        if self._quiet:
            self._engine.dispose()

    def after_fork_in_parent(self) -> None:
        """Pass the turn on."""
        if self._quiet:
            self._turn.release()

    def after_fork(self) -> None:
        """Leave the connections, and a turn that a thread may have, to the parent."""
        self._turn = threading.Lock()
        self._spoiled = self._spoiled or (self._embedded and not self._quiet)
        if not self._quiet:
            _of_parents.append(self._engine.pool)
            self._engine.dispose(close=False)

    def __enter__(self) -> None:
        if self._spoiled:
            raise StoreUnavailable(
                "this process was forked while another thread used the SQLite file for too long: "
                "open the ledger in this process, or fork before it is used"
            )
        if self._embedded:
            self._turn.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._embedded:
            self._turn.release()
