"""Calls to the database: in threads, each with a bound of ours, and none in the way of the next."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Engine

from receiver.errors import StoreUnavailable
from receiver.store.engine import notify
from receiver.store.transactions import PATIENCE_S, Call, transact
from receiver.threads import DaemonThreads

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

Result = TypeVar("Result")

_TELL_EVERY_S: Final = 0.004
"""The first commit wakes others at once. A woken worker looks for all there is: many need few notices."""


class Calls:
    """Runs transactions, and goes on with other connections and threads where one hangs.

    A server that froze keeps its connections alive, and no time-out of its own or of the network's ends what
    waits for it. Use from one event loop.
    """

    def __init__(self, engine: Engine, threads: "Executor", *, spare: int) -> None:
        """Leave up to *spare* calls behind that hang even when cut off; with more, all are refused."""
        self._engine = engine
        # One statement, which needs no BEGIN and no COMMIT.
        self._telling = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._threads = threads
        self._spare = spare
        self._overdue: set[Future[Any]] = set()
        self._untold: frozenset[str] = frozenset()
        self._tells = False

    def begin(
        self, work: Callable[[Connection], Result], *, within_s: float, engine: Engine | None = None
    ) -> "asyncio.Future[Result]":
        """Start a transaction; what is returned is done within *within_s* seconds, whatever happens.

        Raises:
            StoreUnavailable: too many calls hang, or the store was closed. What is returned raises it, too:
                there was no answer in time, and what was asked for may still be done.
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

        def end() -> None:
            alarm.cancel()
            self._overdue.discard(running)
            _hand_over(running, answer)
            self._tell(call.wakes)

        def end_soon(_: "Future[Result]") -> None:
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(end)

        running.add_done_callback(end_soon)
        answer.add_done_callback(lambda asked: asked.cancelled() and running.cancel())
        return answer

    def _tell(self, topics: frozenset[str]) -> None:
        """Wake workers on other machines, behind the answer and apart from it; the poll finds the rest."""
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
        notice.exception()  # asked for, or asyncio would report it
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
            return  # it had not begun
        self._overdue.add(running)
        call.cut()
        if self._spare and isinstance(self._threads, DaemonThreads):
            self._threads.leave_behind(running)


def _hand_over(done: "Future[Any]", answer: "asyncio.Future[Any]") -> None:
    if answer.done():  # given up or cancelled; nothing else cancels what is under way
        return
    if (error := done.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())
