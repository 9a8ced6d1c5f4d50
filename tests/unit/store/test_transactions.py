"""Transactions, each with a bound of ours, and what is said of one that failed."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import nullcontext

import psycopg
import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import IntegrityError

from receiver.errors import StoreUnavailable
from receiver.store.engine import connect
from receiver.store.transactions import Call, Calls, describe, transact
from receiver.threads import DaemonThreads

WITHIN_S = 10

SPEAKS_AT_COMMIT = """
    CREATE TABLE t (n int);
    CREATE FUNCTION speak() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE {} 'better late'; RETURN NULL; END$$;
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION speak();
"""


class TestTransact:
    def test_cut_off_before_it_has_a_connection(self, postgres_database: str) -> None:
        """Nobody waits for it any more: it is not begun, and its connection is as good as before."""
        engine = connect(f"{postgres_database}?connection_limit=1")
        late = Call()
        late.cut()
        with pytest.raises(StoreUnavailable, match="cut off while it waited for a connection"):
            transact(engine, lambda connection: connection.exec_driver_sql("CREATE TABLE t ()"), late)
        found = "SELECT to_regclass('t') IS NOT NULL, pg_backend_pid()"
        (there, pid), (_, again) = (
            transact(engine, lambda connection: connection.exec_driver_sql(found).one()) for _ in range(2)
        )
        assert not there
        assert pid == again
        engine.dispose()

    @pytest.mark.parametrize(("level", "lasts"), [("INFO", True), ("WARNING", False)])
    def test_what_the_server_says_as_it_commits(
        self, postgres_database: str, level: str, lasts: bool
    ) -> None:
        """A warning says that the commit may not last, and nothing less does."""
        with psycopg.connect(postgres_database, autocommit=True) as other:
            other.execute(SPEAKS_AT_COMMIT.format(level))
        engine = connect(postgres_database)
        expected = nullcontext() if lasts else pytest.raises(StoreUnavailable, match="with a warning")
        with expected:
            transact(engine, lambda connection: connection.exec_driver_sql("INSERT INTO t VALUES (1)"))
        engine.dispose()


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


class TestDescribe:
    def test_one_line_without_the_statement(self) -> None:
        """What the driver said, its first line, and nothing of the statement or its values."""
        error = IntegrityError(
            "INSERT INTO event", {"body": "secret"}, ValueError("duplicate key\nDETAIL: secret")
        )
        assert describe(error) == "ValueError: duplicate key"

    def test_nothing_to_say(self) -> None:
        """An error without a text still has its name."""
        assert describe(TimeoutError()) == "TimeoutError: "

    def test_a_refusal_of_ours(self) -> None:
        """What says already what is wrong is left as it is."""
        assert describe(StoreUnavailable("lost while it committed")) == "lost while it committed"
