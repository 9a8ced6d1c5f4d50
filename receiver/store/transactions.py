"""One transaction: run, run once more where that is safe, cut off where it takes too long."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from receiver.errors import StoreUnavailable
from receiver.store.engine import notify, take_wakes
from receiver.store.postgresql_faults import WIRE, Wire, may_run_again

Result = TypeVar("Result")

PATIENCE_S: Final = 7.0
"""How long one transaction may take. Longer than any wait for a lock, so that the error names the lock;
short enough for deliveries to be accepted elsewhere within 15 s of a server's end, 5 of which dialling takes.
"""
EMBEDDED_PATIENCE_S: Final = 15.0
"""The same on SQLite, where calls wait for each other, and there is no other server to go to."""
OPERATORS_PATIENCE_S: Final = 30.0
"""The same of what reads or changes many rows, while no sender and no lease waits for it."""


class Call:
    """One call under way, which another thread may cut off."""

    def __init__(self) -> None:
        self.is_cut = False
        self.wakes: frozenset[str] = frozenset()
        """Whom the transaction wakes on other machines, once it is committed."""
        self._lock = threading.Lock()
        self._wire: Wire | None = None

    def cut(self) -> None:
        """Let it fail now, if it waits for PostgreSQL; there is no way to end a call of SQLite's."""
        with self._lock:
            self.is_cut = True
            if self._wire is not None:
                self._wire.cut()

    @contextmanager
    def on(self, connection: Connection) -> Iterator[Wire | None]:
        """Note within the block that the call uses *connection*; what was cut off gives nothing back.

        Raises:
            StoreUnavailable: it was cut off before it had one.
        """
        with self._lock:
            was_cut = self.is_cut
            if was_cut:
                raise StoreUnavailable("cut off while it waited for a connection")
            self._wire = connection.info.get(WIRE)
        try:
            yield self._wire
        finally:
            with self._lock:
                self._wire = None
            # The pool may be gone by then.
            if self.is_cut and not connection.invalidated:
                connection.invalidate()


def transact(engine: Engine, work: Callable[[Connection], Result], call: Call | None = None) -> Result:
    """Run *work* in a transaction of its own; again if it was in the way of another, or its server left.

    So *work* must change nothing but the database. A transaction that may have been committed is never run
    again.

    Raises:
        StoreUnavailable: it is not known whether it was committed, or not whether that will last.
        sqlalchemy.exc.SQLAlchemyError: nothing was written.
    """
    call = call or Call()
    tries = 0
    while True:
        tries += 1
        try:
            return _transact(engine, work, call)
        except DBAPIError as error:
            # Who won a deadlock may still be in the way the second time; a server that left twice is away.
            most = 2 if error.connection_invalidated else 3
            if call.is_cut or tries == most or not may_run_again(error):
                raise


def transact_in_time(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """Run *work* as `transact` does, for `PATIENCE_S` at most. For callers that block.

    Raises:
        StoreUnavailable: the database failed, or did not answer in time.
    """
    call = Call()
    alarm = threading.Timer(PATIENCE_S, call.cut)
    alarm.daemon = True
    alarm.start()
    try:
        result = transact(engine, work, call)
        _wake(engine, call)
    except SQLAlchemyError as error:
        late = call.is_cut and isinstance(error, DBAPIError)
        raise StoreUnavailable(f"no answer within {PATIENCE_S:g} s" if late else describe(error)) from error
    finally:
        alarm.cancel()
    return result


def _wake(engine: Engine, call: Call) -> None:
    if call.wakes:
        with suppress(StoreUnavailable, SQLAlchemyError):  # polling finds what was not announced
            transact(engine, lambda connection: notify(connection, call.wakes), call)


def _transact(engine: Engine, work: Callable[[Connection], Result], call: Call) -> Result:
    with engine.connect() as connection, call.on(connection) as wire:
        commits = False
        try:
            with connection.begin():
                take_wakes(connection)  # of one that failed
                result = work(connection)
                if wire is not None:
                    wire.warnings.clear()
                commits = True  # where this block ends
        except DBAPIError as error:
            if commits and error.connection_invalidated:
                raise StoreUnavailable(f"lost while it committed: {describe(error)}") from error
            raise
        if wire is not None and wire.warnings:
            # It is committed on this server and maybe on no other: a standby that takes over may lack it.
            raise StoreUnavailable(f"committed with a warning: {wire.warnings[0]}")
        call.wakes = take_wakes(connection)
        return result


def describe(error: BaseException) -> str:
    """Say in one line what the database reported, without statements, parameters or the URL."""
    if isinstance(error, StoreUnavailable):
        return str(error)
    original = getattr(error, "orig", None) if isinstance(error, SQLAlchemyError) else None
    lines = str(original or error).strip().splitlines()
    return f"{type(original or error).__name__}: {lines[0] if lines else ''}"
