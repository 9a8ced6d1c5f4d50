"""Threads that a process does not wait for."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any

import pytest

from receiver.threads import Batches, DaemonThreads, make_calls
from tests.processes import ends

WITHIN_S = 15
HANGING = """
import threading
from receiver.threads import DaemonThreads
begun = threading.Event()
def hang():
    begun.set()
    threading.Event().wait()
threads = DaemonThreads(1, name="test")
threads.submit(hang)
begun.wait()
"""


@pytest.fixture
def freed() -> Iterator[threading.Event]:
    """Return what hanging calls wait for; set at the end."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def threads() -> DaemonThreads:
    return DaemonThreads(2, name="test")


def hang(threads: DaemonThreads, freed: threading.Event) -> "Future[bool]":
    """Submit a call that waits for *freed*; return once it has begun."""
    begun = threading.Event()

    def call() -> bool:
        begun.set()
        return freed.wait(WITHIN_S)

    future = threads.submit(call)
    assert begun.wait(WITHIN_S)
    return future


class TestSubmit:
    def test_gives_the_result(self, threads: DaemonThreads) -> None:
        """What the call returns, or raises, reaches who waits for it."""
        assert threads.submit(pow, 2, 3, mod=5).result(WITHIN_S) == 3
        with pytest.raises(ZeroDivisionError):
            threads.submit(divmod, 1, 0).result(WITHIN_S)

    def test_no_more_threads_than_asked_for(self, threads: DaemonThreads, freed: threading.Event) -> None:
        """What finds none free waits its turn, and gets it in order."""
        for _ in range(2):
            hang(threads, freed)
        order: list[int] = []
        waiting = [threads.submit(order.append, number) for number in range(5)]
        assert not any(future.running() or future.done() for future in waiting)
        freed.set()
        for future in waiting:
            future.result(WITHIN_S)
        assert sorted(order) == list(range(5))

    def test_dropped_call_is_never_made(self, threads: DaemonThreads, freed: threading.Event) -> None:
        """Whoever gives up before its turn costs nothing."""
        for _ in range(2):
            hang(threads, freed)
        made: list[int] = []
        dropped, last = threads.submit(made.append, 1), threads.submit(made.append, 2)
        assert dropped.cancel()
        freed.set()
        last.result(WITHIN_S)
        assert made == [2]

    def test_threads_end_with_the_work(self, threads: DaemonThreads, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing idles about that nobody shuts down."""
        monkeypatch.setattr("receiver.threads._IDLE_S", 0.1)
        name = threads.submit(threading.current_thread).result(WITHIN_S)
        name.join(WITHIN_S)
        assert not name.is_alive()
        assert threads.submit(threading.current_thread).result(WITHIN_S) is not name

    def test_failed_call_leaves_no_cycle(self, threads: DaemonThreads) -> None:
        """Its future goes with the last reference: the service collects garbage rarely."""

        def fail() -> None:
            raise ValueError

        gc.disable()
        try:
            future = threads.submit(fail)
            future.exception(WITHIN_S)
            threads.submit(int).result(WITHIN_S)
            gone = weakref.ref(future)
            del future
            threads.join(within_s=WITHIN_S)
            assert gone() is None
        finally:
            gc.enable()

    def test_process_ends_all_the_same(self) -> None:
        """A call that hangs keeps no process from ending."""
        assert ends(HANGING)


class TestShutdown:
    def test_takes_no_more(self, threads: DaemonThreads) -> None:
        """As with every executor."""
        threads.shutdown()
        with pytest.raises(RuntimeError, match="test is shut down"):
            threads.submit(int)

    def test_waits_if_asked(self, threads: DaemonThreads, freed: threading.Event) -> None:
        """For what runs and for what waits."""
        for _ in range(2):
            hang(threads, freed)
        last = threads.submit(int)
        threading.Timer(0.05, freed.set).start()
        threads.shutdown()
        assert last.done()

    def test_drops_what_has_not_begun(self, threads: DaemonThreads, freed: threading.Event) -> None:
        """Asked for, that ends without being made."""
        running = [hang(threads, freed) for _ in range(2)]
        last = threads.submit(int)
        threads.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(CancelledError):
            last.result(WITHIN_S)
        assert all(future.running() for future in running)


class TestFinish:
    async def test_waits_for_what_runs(self, threads: DaemonThreads, freed: threading.Event) -> None:
        """It returns as soon as all have ended, however they did."""
        running = hang(threads, freed)
        failing = threads.submit(divmod, 1, 0)
        asyncio.get_running_loop().call_later(0.05, freed.set)
        await threads.finish(within_s=60)
        assert running.result(WITHIN_S)
        assert isinstance(failing.exception(WITHIN_S), ZeroDivisionError)

    async def test_leaves_what_hangs(self, threads: DaemonThreads, freed: threading.Event) -> None:
        """Not for longer than it was given."""
        running = hang(threads, freed)
        await threads.finish(within_s=0.05)
        assert running.running()


class TestJoin:
    def test_leaves_what_hangs(self, threads: DaemonThreads, freed: threading.Event) -> None:
        """Not for longer than it was given."""
        running = hang(threads, freed)
        threads.join(within_s=0.05)
        assert running.running()


class TestLeaveBehind:
    def test_another_thread_takes_its_place(self, freed: threading.Event) -> None:
        """A call that hangs takes no thread from those that wait, nor from those that come."""
        threads = DaemonThreads(1, name="test")
        hanging = hang(threads, freed)
        waiting = threads.submit(pow, 2, 3)
        threads.leave_behind(hanging)
        assert waiting.result(WITHIN_S) == 8
        assert threads.submit(pow, 2, 4).result(WITHIN_S) == 16

    def test_no_thread_too_many_in_the_end(self, freed: threading.Event) -> None:
        """Once the call ends, there are as many threads as before."""
        threads = DaemonThreads(1, name="test")
        hanging = hang(threads, freed)
        threads.leave_behind(hanging)
        assert threads.submit(pow, 2, 3).result(WITHIN_S) == 8
        freed.set()
        assert hanging.result(WITHIN_S)
        again = threading.Event()
        hang(threads, again)
        with pytest.raises(TimeoutError):
            threads.submit(pow, 2, 3).result(0.1)
        again.set()

    def test_a_call_that_is_done(self, threads: DaemonThreads) -> None:
        """What ended in the meantime is not left behind."""
        done = threads.submit(pow, 2, 3)
        assert done.result(WITHIN_S) == 8
        threads.leave_behind(done)
        assert threads.submit(pow, 2, 3).result(WITHIN_S) == 8


class TestBatches:
    async def test_threads_that_were_shut_down(self, freed: threading.Event) -> None:
        """Nobody waits for ever: who comes behind is told, and what was dropped is cancelled."""
        threads = DaemonThreads(1, name="batches")
        begun = threading.Event()

        def hang() -> bool:
            begun.set()
            return freed.wait()

        busy = threads.submit(hang)
        assert await asyncio.to_thread(begun.wait, WITHIN_S)
        batches: Batches[int, int] = Batches(list, most=1, threads=threads)
        dropped = asyncio.create_task(batches.submit(1))
        await asyncio.sleep(0)
        cancelled = asyncio.create_task(batches.submit(3))
        behind = asyncio.create_task(batches.submit(2))
        await asyncio.sleep(0)
        cancelled.cancel()
        threads.shutdown(wait=False, cancel_futures=True)
        async with asyncio.timeout(WITHIN_S):
            ended = await asyncio.gather(dropped, behind, return_exceptions=True)
        assert [type(each) for each in ended] == [asyncio.CancelledError, RuntimeError]
        freed.set()
        busy.result(WITHIN_S)

    async def test_a_batch_that_fails(self) -> None:
        """All of it fail, and the next is made."""
        batches: Batches[int, float] = Batches(
            lambda items: [1 / item for item in items], most=1, threads=DaemonThreads(1, name="batches")
        )
        with pytest.raises(ZeroDivisionError):
            await batches.submit(0)
        assert await batches.submit(2) == 0.5

    async def test_what_waits_shares_a_hop(self, freed: threading.Event) -> None:
        """One call at a time, in order, each answered with its own result or error."""
        shared: Batches[Any, Any] = Batches(make_calls, most=1, threads=DaemonThreads(1, name="batches"))
        threads = list[int]()

        def note(number: int) -> int:
            threads.append(threading.get_ident())
            return 1 // number

        first = asyncio.create_task(shared.submit(freed.wait))
        await asyncio.sleep(0)
        others = [asyncio.create_task(shared.submit(partial(note, number))) for number in (1, 0, 2)]
        await asyncio.sleep(0)
        freed.set()
        async with asyncio.timeout(WITHIN_S):
            assert await first
            done = await asyncio.gather(*others, return_exceptions=True)
        assert (done[0], type(done[1]), done[2]) == (1, ZeroDivisionError, 0)
        assert len(set(threads)) == 1

    @pytest.mark.parametrize(("short_s", "is_helped"), [(3600.0, False), (-1.0, True), (0.02, True)])
    async def test_another_thread_helps_if_a_batch_takes_long(
        self, monkeypatch: pytest.MonkeyPatch, freed: threading.Event, short_s: float, *, is_helped: bool
    ) -> None:
        """While the first is short, the others wait to share the next."""
        monkeypatch.setattr("receiver.threads._SHORT_S", short_s)
        shared: Batches[Any, Any] = Batches(make_calls, most=2, threads=DaemonThreads(2, name="batches"))
        first = asyncio.create_task(shared.submit(freed.wait))
        await asyncio.sleep(0)
        second = asyncio.create_task(shared.submit(freed.is_set))
        await asyncio.sleep(0)
        if is_helped:
            async with asyncio.timeout(WITHIN_S):
                assert not await second
        freed.set()
        async with asyncio.timeout(WITHIN_S):
            assert await first
            assert await second is not is_helped

    async def test_cancelled_call_is_made(self, freed: threading.Event) -> None:
        """Whoever comes behind it is answered all the same."""
        shared: Batches[Any, Any] = Batches(make_calls, most=1, threads=DaemonThreads(1, name="batches"))
        made = list[int]()
        first = asyncio.create_task(shared.submit(freed.wait))
        await asyncio.sleep(0)
        cancelled = asyncio.create_task(shared.submit(partial(made.append, 1)))
        await asyncio.sleep(0)
        cancelled.cancel()
        freed.set()
        async with asyncio.timeout(WITHIN_S):
            await asyncio.gather(first, shared.submit(partial(made.append, 2)))
        assert made == [1, 2]
