"""Calls to the database, each with a bound of ours."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine

from receiver.errors import StoreUnavailable
from receiver.store.calls import Calls
from receiver.threads import DaemonThreads

WITHIN_S = 10


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Return a database of which each thread has one of its own, which any may close."""
    opened = create_engine("sqlite://", connect_args={"check_same_thread": False})
    yield opened
    opened.dispose()


@pytest.fixture
def freed() -> Iterator[threading.Event]:
    """Return what hanging calls wait for; set at the end."""
    event = threading.Event()
    yield event
    event.set()


def calls(engine: Engine, *, spare: int) -> Calls:
    return Calls(engine, DaemonThreads(1, name="test"), spare=spare)


def seven(_connection: Connection) -> int:
    return 7


async def hang(calls: Calls, freed: threading.Event) -> "asyncio.Future[bool]":
    """Begin a call that waits for *freed*, and is given up soon; return once it runs."""
    begun = threading.Event()

    def work(_connection: Connection) -> bool:
        begun.set()
        return freed.wait(WITHIN_S)

    answer = calls.begin(work, within_s=1)
    assert await asyncio.to_thread(begun.wait, WITHIN_S)
    return answer


class TestBegin:
    async def test_gives_the_result(self, engine: Engine) -> None:
        """What the work returns or raises reaches the caller."""
        asked = calls(engine, spare=0)
        assert await asked.begin(seven, within_s=WITHIN_S) == 7
        with pytest.raises(ZeroDivisionError):
            await asked.begin(lambda _connection: 1 / 0, within_s=WITHIN_S)

    async def test_hanging_call(self, engine: Engine, freed: threading.Event) -> None:
        """A call that hangs is given up in time, and the next has another thread."""
        asked = calls(engine, spare=1)
        hanging = await hang(asked, freed)
        next_ = asked.begin(seven, within_s=WITHIN_S)
        with pytest.raises(StoreUnavailable, match="no answer within"):
            await hanging
        assert await next_ == 7
        assert await asked.begin(seven, within_s=WITHIN_S) == 7

    async def test_too_many_hang(self, engine: Engine, freed: threading.Event) -> None:
        """Where more hang than may be left behind, nothing waits; once they end, all is as before."""
        asked = calls(engine, spare=0)
        with pytest.raises(StoreUnavailable, match="no answer"):
            await (await hang(asked, freed))
        with pytest.raises(StoreUnavailable, match="does not answer"):
            asked.begin(seven, within_s=WITHIN_S)
        freed.set()
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    assert await asked.begin(seven, within_s=WITHIN_S) == 7
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.01)

    async def test_hangs_although_nobody_waits(self, engine: Engine, freed: threading.Event) -> None:
        """Whoever went away leaves a call that is counted, once its time is over, as any that hangs."""
        asked = calls(engine, spare=0)
        (await hang(asked, freed)).cancel()

        async def ask_again() -> None:
            while True:
                asked.begin(seven, within_s=WITHIN_S).cancel()
                await asyncio.sleep(0.01)

        with pytest.raises(StoreUnavailable, match="does not answer"):
            await asyncio.wait_for(ask_again(), WITHIN_S)

    async def test_what_waits_is_not_begun_later(self, engine: Engine, freed: threading.Event) -> None:
        """A call that found no thread in time is refused for good: its caller has gone on."""
        asked = calls(engine, spare=0)
        hanging = await hang(asked, freed)
        ran = threading.Event()
        waiting = asked.begin(lambda _connection: ran.set(), within_s=0.1)
        with pytest.raises(StoreUnavailable, match="no answer within"):
            await waiting
        freed.set()
        assert await hanging
        assert await asked.begin(seven, within_s=WITHIN_S) == 7
        assert not ran.is_set()

    async def test_after_the_threads_stopped(self, engine: Engine) -> None:
        """What comes during the shutdown is refused."""
        threads = DaemonThreads(1, name="test")
        threads.shutdown()
        with pytest.raises(StoreUnavailable, match="shut down"):
            Calls(engine, threads, spare=0).begin(seven, within_s=WITHIN_S)
