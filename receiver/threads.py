"""Threads for blocking calls, which another machine may delay without limit."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, ParamSpec, TypeVar

_IDLE_S: Final = 10.0
"""A waiting thread costs nothing; starting one for each call costs as much as a short call."""
_SHORT_S: Final = 0.003
"""An item of a batch that takes longer waits for its disk, and not for the interpreter."""

P = ParamSpec("P")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Batches(Generic[Item, Result]):
    """Processes many items with *make* in one thread; those that arrive meanwhile share the next batch.

    Another thread joins only once a batch takes long. Threads with short system calls take the interpreter
    from each other and from the event loop: up to fifty times per asset.

    *make* returns a result or an error for each, in order. Use from one event loop.
    """

    def __init__(
        self, make: Callable[[list[Item]], Sequence[Result | Exception]], *, most: int, threads: Executor
    ) -> None:
        """Use at most *most* of *threads* at a time."""
        self._make = make
        self._threads = threads
        self._most = self._idle = most
        self._is_short_until = 0.0
        self._waiting: list[tuple[asyncio.Future[Result], Item]] = []

    async def submit(self, item: Item) -> Result:
        """Return the result for *item*. If cancelled, it is processed anyway."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((future, item))
        if self._idle == self._most or (self._idle and loop.time() > self._is_short_until):
            self._begin()
        elif len(self._waiting) == 1:
            loop.call_at(self._is_short_until, self._help, self._waiting)
        return await future

    def _help(self, waiting: list[tuple[asyncio.Future[Result], Item]]) -> None:
        """Begin what is still *waiting* for a batch that takes long; no other item may come."""
        if self._idle and waiting is self._waiting:
            self._begin()

    def _begin(self) -> None:
        batch, self._waiting = self._waiting, []
        asked = [future for future, _ in batch]
        items = [item for _, item in batch]
        loop = asyncio.get_running_loop()
        self._is_short_until = loop.time() + _SHORT_S * len(items)

        def end_soon(done: "Future[Sequence[Result | Exception]]") -> None:
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(self._end, asked, done)

        try:
            made = self._threads.submit(self._make, items)
        except RuntimeError as error:  # the threads were shut down
            for future in asked:
                if not future.done():  # cancelled, as many are when a process ends
                    future.set_exception(error)
            return
        self._idle -= 1
        made.add_done_callback(end_soon)

    def _end(
        self, asked: "list[asyncio.Future[Result]]", done: "Future[Sequence[Result | Exception]]"
    ) -> None:
        self._idle += 1
        error = None if done.cancelled() else done.exception()
        made: Sequence[Any] = [error] * len(asked) if error or done.cancelled() else done.result()
        for future, one in zip(asked, made, strict=True):
            if done.cancelled():
                future.cancel()
            elif future.done():
                continue
            elif isinstance(one, BaseException):
                future.set_exception(one)
            else:
                future.set_result(one)
        if self._waiting:
            self._begin()


def make_calls(calls: list[Callable[[], Any]]) -> list[Any]:
    """Return what each of *calls* returns or raises."""
    made: list[Any] = []
    for call in calls:
        try:
            made.append(call())
        except Exception as error:  # noqa: BLE001  the waiter is told
            made.append(error)
    return made


class DaemonThreads(Executor):
    """A limited number of threads that do not keep the process from ending.

    `ThreadPoolExecutor` makes the interpreter join its threads, so one call that hangs keeps a process from
    ending. A call that is cut off ends as with SIGKILL: use this only for work that survives that.
    Threads are started as needed, and end after a while without work.
    """

    def __init__(self, most: int, *, name: str) -> None:
        """Start nothing yet. *name* is the threads' name, for people who debug a hanging process."""
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._work_came = threading.Condition(self._lock)
        self._idle = 0
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._running: set[Future[Any]] = set()
        self._left: set[Future[Any]] = set()
        self._threads = 0
        self._closed = False

    def submit(self, call: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> Future[Result]:
        """Run *call* in a thread, after those already waiting.

        Raises:
            RuntimeError: it was shut down, or no thread could be started.
        """
        future: Future[Result] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._name} is shut down")
            if self._idle > len(self._waiting):
                self._work_came.notify()
            else:
                self._start_one()
            self._waiting.append((future, partial(call, *args, **kwargs)))
        return future

    def leave_behind(self, future: "Future[Any]") -> None:
        """Let another thread replace the one that runs this call, until the call ends."""
        with self._lock:
            if future in self._running:
                self._left.add(future)
                if self._waiting:
                    self._start_one()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """Accept no more calls; drop those that wait, or wait for all, as requested."""
        with self._lock:
            self._closed = True
            self._work_came.notify_all()
            dropped = [self._waiting.popleft() for _ in range(len(self._waiting))] if cancel_futures else []
        for future, _ in dropped:
            future.cancel()
        if wait:
            self.join()

    def join(self, *, within_s: float | None = None) -> None:
        """Wait for all calls, *within_s* seconds at most. Blocks."""
        wait(self._unfinished(), within_s)

    async def finish(self, *, within_s: float) -> None:
        """Wait for all calls, *within_s* seconds at most; then drop those still waiting."""
        unfinished = [asyncio.wrap_future(future) for future in self._unfinished()]
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await asyncio.gather(*unfinished, return_exceptions=True)

    def _unfinished(self) -> list[Future[Any]]:
        with self._lock:
            return [*self._running, *(future for future, _ in self._waiting)]

    def _start_one(self) -> None:
        """Start a thread if there are not enough. The lock is held."""
        if self._threads - len(self._left) < self._most:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
            self._threads += 1

    def _work(self) -> None:
        while begun := self._next():
            self._run(*begun)

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._lock:
            while self._threads - len(self._left) <= self._most and (self._waiting or self._has_come()):
                future, call = self._waiting.popleft()
                if future.set_running_or_notify_cancel():
                    self._running.add(future)
                    return future, call
            self._threads -= 1
            return None

    def _has_come(self) -> bool:
        """Wait for work; False after a while without any. The lock is held."""
        if self._closed:
            return False
        self._idle += 1
        self._work_came.wait_for(lambda: self._waiting or self._closed, timeout=_IDLE_S)
        self._idle -= 1
        return bool(self._waiting)

    def _run(self, future: "Future[Any]", call: Callable[[], Any]) -> None:
        outcome = error = None
        try:
            outcome = call()
        except BaseException as raised:  # noqa: BLE001  the waiter is told
            error = raised
        with self._lock:
            self._running.discard(future)
            self._left.discard(future)
        if error is None:
            future.set_result(outcome)
        else:
            future.set_exception(error)
        # The traceback holds this frame: future and error would be garbage that only the collector finds.
        del future, error
