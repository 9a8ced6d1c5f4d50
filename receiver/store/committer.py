"""Group commit: calls that wait at the same time share one transaction."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final, Generic, TypeVar

from sqlalchemy import Connection, Engine

from receiver.errors import StoreUnavailable
from receiver.store.transactions import describe, transact

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BATCH: Final = 500
"""Rows in one transaction: enough to share an fsync widely, few enough to commit in milliseconds."""
_LONGEST_GATHERING_S: Final = 0.010


class Committer(Generic[Item, Result]):
    """Runs *work* on batches of items, each batch one transaction, and answers only after its commit.

    While one batch commits, the next gathers. Use from one event loop.
    """

    def __init__(
        self,
        engine: Engine,
        executor: Executor,
        work: Callable[[Connection, Sequence[Item]], Sequence[Result]],
        *,
        max_waiting: int = 2_000,
        timeout_s: float = 15.0,
    ) -> None:
        self._engine = engine
        self._executor = executor
        self._work = work
        self._max_waiting = max_waiting
        self._timeout_s = timeout_s
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._busy = False
        self._hangs = False

    async def submit(self, item: Item) -> Result:
        """Return the result for *item* once its transaction has been committed to disk.

        Raises:
            StoreUnavailable: the transaction failed or took longer than `timeout_s` seconds, or
                `max_waiting` items wait already. After a time-out the item may still have been committed.
        """
        if self._hangs or len(self._waiting) >= self._max_waiting:
            raise StoreUnavailable("too many requests wait for the database")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if not self._busy:
            self._busy = True
            self._gather(loop, seen=0, deadline=loop.time() + _LONGEST_GATHERING_S)
        return await future

    def _gather(self, loop: asyncio.AbstractEventLoop, *, seen: int, deadline: float) -> None:
        """Start the batch once the loop brings nothing new: all who would wait for it have come."""
        count = len(self._waiting)
        if count == seen or count >= MAX_BATCH or loop.time() >= deadline:
            self._start(loop)
        else:
            # A request takes two turns from its socket to here.
            again = partial(self._gather, loop, seen=count, deadline=deadline)
            loop.call_soon(loop.call_soon, again)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        try:
            running = loop.run_in_executor(self._executor, self._commit, [item for item, _ in batch])
        except RuntimeError as error:  # the store was closed
            _refuse([*batch, *self._waiting], error)
            self._waiting.clear()
            self._busy = False
            return
        alarm = loop.call_later(self._timeout_s, self._refuse_all, batch)
        running.add_done_callback(lambda done: self._finish(loop, batch, alarm, done))

    def _commit(self, items: Sequence[Item]) -> Sequence[Result]:
        return transact(self._engine, lambda connection: self._work(connection, items))

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Sequence[tuple[Item, asyncio.Future[Result]]],
        alarm: asyncio.TimerHandle,
        done: asyncio.Future[Sequence[Result]],
    ) -> None:
        alarm.cancel()
        self._hangs = False
        error = done.exception()
        if error is None:
            for (_, future), result in zip(batch, done.result(), strict=True):
                if not future.done():
                    future.set_result(result)
        else:
            _refuse(batch, error)
        self._busy = bool(self._waiting)
        if self._busy:
            self._gather(loop, seen=0, deadline=loop.time() + _LONGEST_GATHERING_S)

    def _refuse_all(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        """Give up on a commit that hangs, and on all that wait behind it."""
        self._hangs = True
        _refuse([*batch, *self._waiting], TimeoutError(f"no commit within {self._timeout_s} s"))
        self._waiting.clear()


def _refuse(batch: Sequence[tuple[Item, asyncio.Future[Result]]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            refusal = StoreUnavailable(describe(error))
            refusal.__cause__ = error
            future.set_exception(refusal)
