"""Group commit: concurrent calls share one transaction."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final, Generic, TypeVar, cast

from sqlalchemy import Connection, Engine

from receiver.errors import StoreUnavailable
from receiver.store.transactions import Calls, describe

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BATCH: Final = 500
"""Rows in one transaction: enough to share an fsync widely, few enough to commit in milliseconds."""
_LONGEST_GATHERING_S: Final = 0.010
PATIENCE_S: Final = 0.050
"""How long items that nobody waits for let others join them; far below any lease."""
MANY: Final = 16
"""A batch of this size does not wait for others."""
UNPACED: Final = 20
"""How many batches begin at once after a delay that nobody joined, as with a single sender."""


class Committer(Generic[Item, Result]):
    """Runs *work* on batches of items, one transaction per batch, and returns only after its commit.

    While one batch commits, the next one fills. Use from one event loop.
    """

    def __init__(
        self,
        engine: Engine,
        executor: Executor,
        work: Callable[[Connection, Sequence[Item]], Sequence[Result]],
        *,
        max_waiting: int = 2_000,
        timeout_s: float = 15.0,
        spare: int = 0,
        pace_s: float = 0.0,
    ) -> None:
        """*spare* is passed to `Calls`. Batches start *pace_s* apart, unless waiting would gather nothing."""
        self._calls = Calls(engine, executor, spare=spare)
        self._work = work
        self._max_waiting = max_waiting
        self._timeout_s = timeout_s
        self._pace_s = pace_s
        self._paced_until = 0.0
        self._unpaced = 0
        """How many more batches begin at once."""
        self._put_off = False
        """Whether a batch that somebody waits for was delayed so that others can join it."""
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._busy = False
        self._hurries = False
        """Whether somebody waits for one of the queued items."""
        self._alarm: asyncio.Handle | None = None

    async def submit(self, item: Item) -> Result:
        """Return the result for *item* once its transaction has been committed to disk.

        Raises:
            StoreUnavailable: the transaction failed or took longer than `timeout_s` seconds, or `max_waiting`
                items are waiting already. After a time-out the item may still have been committed.
        """
        if len(self._waiting) >= self._max_waiting:
            raise StoreUnavailable("too many requests wait for the database")
        self._hurries = True
        return await self._enter(asyncio.get_running_loop(), item)

    async def submit_all(self, items: Sequence[Item]) -> list[Result | StoreUnavailable]:
        """Do the same for *items* that nobody waits for; return, for each, its result or the error.

        They are committed with the next item that somebody waits for, once many of them have gathered, or
        after `PATIENCE_S`.
        """
        loop = asyncio.get_running_loop()
        # gather() and not wait(), so that cancelling the caller cancels the items too.
        found = await asyncio.gather(*(self._enter(loop, item) for item in items), return_exceptions=True)
        # `_refuse` raises no other error, and a cancelled caller sees its own cancellation.
        return [cast("Result | StoreUnavailable", one) for one in found]

    async def next_commit(self) -> bool:
        """Wait until everything now queued is committed; False if nothing is, or the last was cancelled.

        Raises:
            StoreUnavailable: as for `submit`.
        """
        if not self._waiting:
            return False
        _, last = self._waiting[-1]
        await asyncio.wait([last])
        if last.cancelled():
            return False
        last.result()
        return True

    def _enter(self, loop: asyncio.AbstractEventLoop, item: Item) -> "asyncio.Future[Result]":
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if not self._busy:
            self._go_on(loop)
        return future

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the next batch, now or once others may have joined it."""
        wait_s = self._paced_until - loop.time() if self._hurries else PATIENCE_S
        if wait_s <= 0 or len(self._waiting) >= MANY:
            self._begin(loop)
        elif self._waiting and (not self._alarm or (self._hurries and not self._put_off)):
            if self._alarm:
                self._alarm.cancel()
            self._put_off = self._hurries
            self._alarm = loop.call_later(wait_s, self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._alarm, self._busy = None, True
        self._gather(loop, seen=0, deadline=loop.time() + _LONGEST_GATHERING_S)

    def _gather(self, loop: asyncio.AbstractEventLoop, *, seen: int, deadline: float) -> None:
        """Start the batch once the loop is idle: everyone who could join it has."""
        count = len(self._waiting)
        if count == seen or count >= MAX_BATCH or loop.time() >= deadline:
            self._start(loop)
        else:
            # A request takes two turns of the loop from its socket to here.
            again = partial(self._gather, loop, seen=count, deadline=deadline)
            loop.call_soon(loop.call_soon, again)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        self._hurries = self._hurries and bool(self._waiting)
        # Delay the next batch, unless nobody joined this one during its delay.
        in_vain, self._put_off = self._put_off and len(batch) == 1, False
        self._unpaced = UNPACED if in_vain else max(0, self._unpaced - 1)
        self._paced_until = 0.0 if self._unpaced else loop.time() + self._pace_s
        items = [item for item, _ in batch]
        overdue = loop.time() + self._timeout_s
        try:
            answer = self._calls.begin(
                lambda connection: self._work(connection, items), within_s=self._timeout_s
            )
        except StoreUnavailable as error:
            _refuse([*batch, *self._waiting], error)
            self._waiting.clear()
            self._busy = self._hurries = False
            return
        answer.add_done_callback(lambda done: self._finish(loop, batch, done, overdue))

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Sequence[tuple[Item, asyncio.Future[Result]]],
        done: "asyncio.Future[Sequence[Result]]",
        overdue: float,
    ) -> None:
        error = done.exception()
        if error is None:
            for (_, future), result in zip(batch, done.result(), strict=True):
                if not future.done():
                    future.set_result(result)
        else:
            _refuse(batch, error)
            if loop.time() >= overdue:
                # The next batch may hang too. Nobody should wait for a third.
                _refuse(self._waiting[MAX_BATCH:], error)
                del self._waiting[MAX_BATCH:]
        self._busy = False
        self._go_on(loop)


def _refuse(batch: Sequence[tuple[Item, asyncio.Future[Result]]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            refusal = StoreUnavailable(describe(error))
            refusal.__cause__ = error
            future.set_exception(refusal)
