"""Transactions: repeated where that is safe, cut off if they take too long, and isolated from each other."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from receiver.errors import StoreUnavailable
from receiver.store.engine import notify, take_wakes
from receiver.store.postgresql_faults import WIRE, Wire, may_run_again
from receiver.threads import DaemonThreads

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

Result = TypeVar("Result")

PATIENCE_S: Final = 7.0
"""How long one transaction may take.

Longer than any wait for a lock, so that the error names the lock. Short enough that deliveries are accepted
elsewhere within 15 s of a server's end, 5 of them for dialling.
"""
EMBEDDED_PATIENCE_S: Final = 15.0
"""The same on SQLite, where calls wait for each other and there is no other server."""
OPERATORS_PATIENCE_S: Final = 30.0
"""The same for calls that read or change many rows, with no sender or lease waiting."""
_TELL_EVERY_S: Final = 0.004
"""The first commit wakes others at once. A woken worker looks for all work, so many need few notices."""


class Call:
    """A call in progress, which another thread may cut off."""

    def __init__(self) -> None:
        self.is_cut = False
        self.wakes: frozenset[str] = frozenset()
        """The topics that the transaction wakes on other machines, once it is committed."""
        self._lock = threading.Lock()
        self._wire: Wire | None = None

    def cut(self) -> None:
        """Make it fail now, if it waits for PostgreSQL; a call of SQLite's cannot be ended."""
        with self._lock:
            self.is_cut = True
            if self._wire is not None:
                self._wire.cut()

    @contextmanager
    def on(self, connection: Connection) -> Iterator[Wire | None]:
        """Register *connection* with the call within the block; one that was cut off is not reused.

        Raises:
            StoreUnavailable: it was cut off before it had a connection.
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
    """Run *work* in its own transaction; again after a deadlock, or if its server went away.

    So *work* must change nothing but the database. A transaction that may have been committed is never
    repeated.

    Raises:
        StoreUnavailable: it may have been committed, or the commit may not last.
        sqlalchemy.exc.SQLAlchemyError: nothing was written.
    """
    call = call or Call()
    tries = 0
    while True:
        tries += 1
        try:
            return _transact(engine, work, call)
        except DBAPIError as error:
            # The winner of a deadlock may still be in the way the second time. A server that left twice is
            # gone.
            most = 2 if error.connection_invalidated else 3
            if call.is_cut or tries == most or not may_run_again(error):
                raise


def transact_in_time(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """Run *work* like `transact`, for `PATIENCE_S` at most. For callers that block.

    Raises:
        StoreUnavailable: the database failed, or did not answer in time.
    """
    call = Call()
    alarm = threading.Timer(PATIENCE_S, call.cut)
    alarm.daemon = True
    alarm.start()
    try:
        result = transact(engine, work, call)
        if call.wakes:
            with suppress(StoreUnavailable, SQLAlchemyError):  # polling finds what was not announced
                transact(engine, lambda connection: notify(connection, call.wakes), call)
    except SQLAlchemyError as error:
        late = call.is_cut and isinstance(error, DBAPIError)
        raise StoreUnavailable(f"no answer within {PATIENCE_S:g} s" if late else describe(error)) from error
    finally:
        alarm.cancel()
    return result


def _transact(engine: Engine, work: Callable[[Connection], Result], call: Call) -> Result:
    with engine.connect() as connection, call.on(connection) as wire:
        commits = False
        try:
            with connection.begin():
                take_wakes(connection)  # those of a failed run
                result = work(connection)
                if wire is not None:
                    wire.warnings.clear()
                commits = True  # at the end of this block
        except DBAPIError as error:
            if commits and error.connection_invalidated:
                raise StoreUnavailable(f"lost while it committed: {describe(error)}") from error
            raise
        if wire is not None and wire.warnings:
            # Committed on this server and maybe on no other: a standby that takes over may lack it.
            raise StoreUnavailable(f"committed with a warning: {wire.warnings[0]}")
        call.wakes = take_wakes(connection)
        return result


class Calls:
    """Runs transactions, and moves to other connections and threads when one hangs.

    A frozen server keeps its connections alive, and no time-out of its own or of the network ends what waits
    for it. Use from one event loop.
    """

    def __init__(self, engine: Engine, threads: "Executor", *, spare: int) -> None:
        """Leave up to *spare* calls behind that hang even when cut off; beyond that, refuse all."""
        self._engine = engine
        # A single statement, without BEGIN and COMMIT.
        self._telling = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._threads = threads
        self._spare = spare
        self._overdue: set[Future[Any]] = set()
        self._untold: frozenset[str] = frozenset()
        self._tells = False

    def begin(
        self, work: Callable[[Connection], Result], *, within_s: float, engine: Engine | None = None
    ) -> "asyncio.Future[Result]":
        """Start a transaction; the returned future is done within *within_s* seconds, whatever happens.

        Raises:
            StoreUnavailable: too many calls hang, or the store was closed. The future raises it too if there
                was no answer in time; the work may still be done.
        """
        if len(self._overdue) > self._spare:
            raise StoreUnavailable("the database does not answer")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()
        call = Call()
        try:
            running = self._threads.submit(transact, engine or self._engine, work, call)
        except RuntimeError as error:  # the store was closed
            raise StoreUnavailable(str(error)) from error
        alarm = loop.call_later(within_s, self._give_up, running, call, answer, within_s)

        def end_soon(_: "Future[Result]") -> None:
            with suppress(RuntimeError):  # nobody is waiting any more
                loop.call_soon_threadsafe(self._end, running, call, answer, alarm)

        running.add_done_callback(end_soon)
        answer.add_done_callback(lambda asked: asked.cancelled() and running.cancel())
        return answer

    def _end(
        self, running: "Future[Any]", call: Call, answer: "asyncio.Future[Any]", alarm: asyncio.TimerHandle
    ) -> None:
        alarm.cancel()
        self._overdue.discard(running)
        if not answer.done():  # given up or cancelled; nothing else cancels running calls
            if (error := running.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(running.result())
        if call.wakes:
            self._tell(call.wakes)

    def _tell(self, topics: frozenset[str]) -> None:
        """Wake workers on other machines, separately and after the answer; polling covers failures."""
        self._untold |= topics
        if self._tells or not self._untold:
            return
        topics, self._untold = self._untold, frozenset()
        with suppress(StoreUnavailable):
            notice = self.begin(
                lambda connection: notify(connection, topics), within_s=PATIENCE_S, engine=self._telling
            )
            self._tells = True
            notice.add_done_callback(self._rest)

    def _rest(self, notice: "asyncio.Future[None]") -> None:
        notice.exception()  # retrieved, or asyncio would log it
        asyncio.get_running_loop().call_later(_TELL_EVERY_S, self._tell_on)

    def _tell_on(self) -> None:
        self._tells = False
        self._tell(frozenset())

    def _give_up(
        self, running: "Future[Any]", call: Call, answer: "asyncio.Future[Any]", within_s: float
    ) -> None:
        if not answer.done():
            answer.set_exception(StoreUnavailable(f"no answer within {within_s:g} s"))
        if running.cancel():
            return  # it had not started
        self._overdue.add(running)
        call.cut()
        if self._spare and isinstance(self._threads, DaemonThreads):
            self._threads.leave_behind(running)


def describe(error: BaseException) -> str:
    """Return what the database reported, on one line, without statements, parameters or the URL."""
    if isinstance(error, StoreUnavailable):
        return str(error)
    original = getattr(error, "orig", None) if isinstance(error, SQLAlchemyError) else None
    lines = str(original or error).strip().splitlines()
    return f"{type(original or error).__name__}: {lines[0] if lines else ''}"
