"""Group commit."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import uvloop
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from receiver.errors import StoreUnavailable
from receiver.store.committer import MANY, MAX_BATCH, UNPACED, Committer
from receiver.store.engine import connect

WITHIN_S = 10


class Work:
    """Writes numbers down, in batches it remembers; waits while it is held."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.error: BaseException | None = None

    def __call__(self, connection: Connection, items: Sequence[int]) -> list[str]:
        self.begun.set()
        assert self.free.wait(WITHIN_S)
        self.batches.append(list(items))
        if self.error:
            raise self.error
        connection.exec_driver_sql("INSERT INTO number VALUES (?)", [(item,) for item in items])
        return [f"result {item}" for item in items]

    async def has_begun(self) -> None:
        """Wait until a batch is being worked on."""
        await asyncio.to_thread(self.begun.wait, WITHIN_S)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = connect(f"sqlite:///{tmp_path}/numbers.db")
    with opened.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE number (n INTEGER PRIMARY KEY)")
    yield opened
    opened.dispose()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


@pytest.fixture
def work() -> Iterator[Work]:
    offered = Work()
    yield offered
    offered.free.set()


def count(engine: Engine) -> int:
    with engine.begin() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM number").scalar_one())


async def settled(tasks: Sequence["asyncio.Task[str]"]) -> list[str | BaseException]:
    async with asyncio.timeout(WITHIN_S):
        return await asyncio.gather(*tasks, return_exceptions=True)


def submitted(committer: Committer[int, str], items: Sequence[int]) -> list["asyncio.Task[str]"]:
    return [asyncio.create_task(committer.submit(item)) for item in items]


class TestSubmit:
    async def test_answers_after_the_commit(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """Invariant 1: when the result is there, the row is."""
        committer = Committer(engine, executor, work)
        assert await committer.submit(7) == "result 7"
        assert count(engine) == 1

    async def test_those_at_once_share_a_transaction(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """Calls of one turn of the loop are one batch; each gets its own result."""
        results = await settled(submitted(Committer(engine, executor, work), range(50)))
        assert results == [f"result {number}" for number in range(50)]
        assert work.batches == [list(range(50))]

    async def test_the_next_gathers_while_one_commits(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """Whatever comes during a commit is the next batch, whole."""
        committer = Committer(engine, executor, work)
        work.free.clear()
        first = submitted(committer, [0])
        await work.has_begun()
        rest = submitted(committer, range(1, 21))
        await asyncio.sleep(0)
        work.free.set()
        await settled([*first, *rest])
        assert work.batches == [[0], list(range(1, 21))]

    async def test_more_than_a_batch(self, engine: Engine, executor: ThreadPoolExecutor, work: Work) -> None:
        """No transaction is larger than the maximum; none of those behind is forgotten."""
        numbers = range(2 * MAX_BATCH + 1)
        results = await settled(submitted(Committer(engine, executor, work), numbers))
        assert results == [f"result {number}" for number in numbers]
        assert max(map(len, work.batches)) <= MAX_BATCH
        assert sorted(number for batch in work.batches for number in batch) == list(numbers)

    async def test_cancelled_waiter(self, engine: Engine, executor: ThreadPoolExecutor, work: Work) -> None:
        """A caller that goes away takes nobody with it; its item is written all the same."""
        committer = Committer(engine, executor, work)
        work.free.clear()
        tasks = submitted(committer, range(3))
        await work.has_begun()
        tasks[1].cancel()
        await asyncio.sleep(0)
        work.free.set()
        one, cancelled, three = await settled(tasks)
        assert (one, three) == ("result 0", "result 2")
        assert isinstance(cancelled, asyncio.CancelledError)
        assert count(engine) == 3

    async def test_failure_refuses_the_batch(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """A transaction that fails promises nothing to any of its callers, and the next one is tried anew."""
        committer = Committer(engine, executor, work)
        work.error = RuntimeError("no disk")
        one, two = await settled(submitted(committer, [1, 2]))
        assert isinstance(one, StoreUnavailable)
        assert isinstance(two, StoreUnavailable)
        assert one is not two
        assert (str(one), one.__cause__) == ("RuntimeError: no disk", work.error)
        work.error = None
        assert await committer.submit(3) == "result 3"
        assert count(engine) == 1

    async def test_failure_of_whom_nobody_waits_for(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """Who went away meanwhile is not told; the others are."""
        committer = Committer(engine, executor, work)
        work.error = RuntimeError("no disk")
        work.free.clear()
        gone, stays = submitted(committer, [1, 2])
        await work.has_begun()
        gone.cancel()
        await asyncio.sleep(0)
        work.free.set()
        left, refused = await settled([gone, stays])
        assert isinstance(left, asyncio.CancelledError)
        assert isinstance(refused, StoreUnavailable)

    async def test_failing_commit(self, engine: Engine, executor: ThreadPoolExecutor, work: Work) -> None:
        """The work may be done and its commit still fail: that is a refusal too."""

        def fail(_connection: Connection) -> None:
            raise OperationalError("COMMIT", {}, RuntimeError("disk full"))

        event.listen(engine, "commit", fail)
        with pytest.raises(StoreUnavailable, match="disk full"):
            await Committer(engine, executor, work).submit(1)
        event.remove(engine, "commit", fail)
        assert count(engine) == 0

    async def test_too_many_waiting(self, engine: Engine, executor: ThreadPoolExecutor, work: Work) -> None:
        """Beyond the limit callers are refused at once; those within it are served."""
        committer = Committer(engine, executor, work, max_waiting=2)
        work.free.clear()
        first = submitted(committer, [0])
        await work.has_begun()
        waiting = submitted(committer, [1, 2])
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="too many"):
            await committer.submit(3)
        work.free.set()
        assert await settled([*first, *waiting]) == ["result 0", "result 1", "result 2"]

    async def test_hanging_commit(self, engine: Engine, executor: ThreadPoolExecutor, work: Work) -> None:
        """A commit that hangs keeps nobody waiting: not its callers, those behind it, nor those after."""
        committer = Committer(engine, executor, work, timeout_s=0.2)
        work.free.clear()
        hanging = submitted(committer, [0])
        await work.has_begun()
        behind = submitted(committer, [1])
        refusals = await settled([*hanging, *behind])
        after = await settled(submitted(committer, [2, 3]))
        assert [type(refusal) for refusal in (*refusals, *after)] == [StoreUnavailable] * 4
        work.free.set()

    async def test_third_behind_a_hanging_commit(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The next batch may hang as well: whoever comes behind that one is refused with the first."""
        monkeypatch.setattr("receiver.store.committer.MAX_BATCH", 1)
        committer = Committer(engine, executor, work, timeout_s=0.2, spare=1)
        work.free.clear()
        hanging = submitted(committer, [0])
        await work.has_begun()
        ended: list[int] = []
        behind = submitted(committer, [1, 2])
        for number, task in enumerate(behind, start=1):
            task.add_done_callback(partial(lambda number, _: ended.append(number), number))
        assert [type(one) for one in await settled([*hanging, *behind])] == [StoreUnavailable] * 3
        assert ended == [2, 1]
        work.free.set()

    async def test_recovers_from_a_hanging_commit(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """Once the database answers again, so do we."""
        committer = Committer(engine, executor, work, timeout_s=0.05)
        work.free.clear()
        while not work.begun.is_set():
            await settled(submitted(committer, [0]))
        work.free.set()
        numbers = itertools.count(1)  # one that was refused may be there all the same
        async with asyncio.timeout(WITHIN_S):
            while isinstance((await settled(submitted(committer, [next(numbers)])))[0], StoreUnavailable):
                await asyncio.to_thread(work.free.wait)
        assert [0] in work.batches

    async def test_after_the_executor_stopped(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """Work that comes during the shutdown is refused and left to nobody's patience."""
        executor.shutdown()
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(StoreUnavailable):
                await Committer(engine, executor, work).submit(1)


class TestSubmitAll:
    async def test_share_a_transaction(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """Each result in the order of the items; no tasks, and one wait for all."""
        committer = Committer(engine, executor, work)
        assert await committer.submit_all([3, 1, 2]) == ["result 3", "result 1", "result 2"]
        assert work.batches == [[3, 1, 2]]
        assert await committer.submit_all([]) == []

    async def test_fail_each_with_its_own_transaction(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """What another transaction wrote of the same items is written."""
        committer = Committer(engine, executor, work)
        await committer.submit(MAX_BATCH)
        found = await committer.submit_all(range(MAX_BATCH + 1))
        assert found[:MAX_BATCH] == [f"result {number}" for number in range(MAX_BATCH)]
        assert isinstance(found[MAX_BATCH], StoreUnavailable)
        assert count(engine) == MAX_BATCH + 1

    async def test_wait_for_others_to_join(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """Nobody waits for them: they go with those that come a little later, in one transaction."""
        committer = Committer(engine, executor, work)
        first = asyncio.create_task(committer.submit_all([1]))
        await asyncio.sleep(0)
        assert work.batches == []
        assert await committer.submit_all([2]) == ["result 2"]
        assert await first == ["result 1"]
        assert work.batches == [[1, 2]]

    async def test_go_with_what_somebody_waits_for(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever is left of their patience."""
        monkeypatch.setattr("receiver.store.committer.PATIENCE_S", 2 * WITHIN_S)
        committer = Committer(engine, executor, work)
        patient = asyncio.create_task(committer.submit_all([1]))
        await asyncio.sleep(0)
        async with asyncio.timeout(WITHIN_S):
            assert await committer.submit(2) == "result 2"
            assert await patient == ["result 1"]
        assert work.batches == [[1, 2]]

    async def test_many_wait_for_nobody(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A backlog is settled as fast as it is sent."""
        monkeypatch.setattr("receiver.store.committer.PATIENCE_S", 2 * WITHIN_S)
        async with asyncio.timeout(WITHIN_S):
            assert len(await Committer(engine, executor, work).submit_all(range(MANY))) == MANY


class TestNextCommit:
    async def test_what_waits(self, engine: Engine, executor: ThreadPoolExecutor, work: Work) -> None:
        """It ends as what waits does; where nothing waits, or nobody for it, it ends at once."""
        committer = Committer(engine, executor, work)
        assert not await committer.next_commit()
        work.free.clear()
        first = submitted(committer, [0])
        await work.has_begun()
        second = submitted(committer, [1])
        await asyncio.sleep(0)
        looking = asyncio.create_task(committer.next_commit())
        work.free.set()
        assert await asyncio.wait_for(looking, WITHIN_S)
        assert count(engine) == 2
        await settled([*first, *second])

    @pytest.mark.parametrize("is_cancelled", [True, False])
    async def test_what_comes_to_nothing(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work, *, is_cancelled: bool
    ) -> None:
        """What nobody waits for any more says nothing; what fails says so."""
        committer = Committer(engine, executor, work)
        work.free.clear()
        first = submitted(committer, [0])
        await work.has_begun()
        (second,) = submitted(committer, [1])
        await asyncio.sleep(0)
        looking = asyncio.create_task(committer.next_commit())
        if is_cancelled:
            await asyncio.sleep(0)
            second.cancel()
        work.error = StoreUnavailable("disk full")
        work.free.set()
        if is_cancelled:
            assert not await asyncio.wait_for(looking, WITHIN_S)
        else:
            with pytest.raises(StoreUnavailable, match="disk full"):
                await asyncio.wait_for(looking, WITHIN_S)
        await settled([*first, second])


class TestPace:
    """With a pace of half a minute, what does not wait for it is answered within seconds."""

    async def test_puts_the_next_batch_off(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """What comes soon after a batch shares the next one."""
        committer = Committer(engine, executor, work, pace_s=3 * WITHIN_S)
        await committer.submit(0)
        committer._paced_until = asyncio.get_running_loop().time() + 0.2
        one = submitted(committer, [1])
        for _ in range(20):  # more turns than a batch gathers for
            await asyncio.sleep(0)
        await settled([*one, *submitted(committer, [2])])
        assert work.batches == [[0], [1, 2]]

    async def test_ends_the_patience_of_others(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """Once somebody waits, the pace alone says when the batch begins."""
        committer = Committer(engine, executor, work, pace_s=3 * WITHIN_S)
        await committer.submit(0)
        patient = asyncio.create_task(committer.submit_all([1]))
        await asyncio.sleep(0)
        patience = committer._alarm
        hurried = submitted(committer, [2])
        await asyncio.sleep(0)
        assert patience
        assert patience.cancelled()
        await settled([*hurried, *submitted(committer, range(3, 1 + MANY))])
        assert await patient == ["result 1"]
        assert work.batches == [[0], list(range(1, 1 + MANY))]

    async def test_begins_at_once_after_a_rest(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """The first pays nothing, and many together neither."""
        committer = Committer(engine, executor, work, pace_s=3 * WITHIN_S)
        await settled(submitted(committer, [0]))
        await settled(submitted(committer, range(1, 1 + MANY)))
        assert work.batches == [[0], list(range(1, 1 + MANY))]

    def test_a_wait_under_a_millisecond(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """Served processes run on uvloop, which makes no timer of it."""

        async def submit() -> list[str]:
            committer = Committer(engine, executor, work, pace_s=3 * WITHIN_S)
            committer._paced_until = asyncio.get_running_loop().time() + 0.000_4
            async with asyncio.timeout(WITHIN_S):
                return await asyncio.gather(*map(committer.submit, range(3)))

        assert uvloop.run(submit()) == ["result 0", "result 1", "result 2"]

    async def test_a_sender_alone_is_not_slowed_down(
        self, engine: Engine, executor: ThreadPoolExecutor, work: Work
    ) -> None:
        """Who sends the next only after an answer would wait for nobody but itself: found out once."""
        committer = Committer(engine, executor, work, pace_s=0.5)
        began = time.monotonic()
        for number in range(UNPACED + 1):
            await committer.submit(number)
        assert time.monotonic() - began > 0.4
        assert [len(batch) for batch in work.batches] == [1] * (UNPACED + 1)
        put_off = [committer._paced_until]
        assert put_off == [0.0]
