"""PostgreSQL changes under a running store: sessions end, a server turns read-only, a standby is away."""

import asyncio
import gc
import secrets
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from receiver import clock
from receiver.contract import COMPLETED, FAILED
from receiver.errors import StoreUnavailable
from receiver.events import event_id
from receiver.store import Store
from receiver.store.claim import Claim, claim_deliveries, claim_events, release, renew
from receiver.store.destinations import pause
from receiver.store.jobs import DeliveryJob, EventJob, Hold
from receiver.store.progress import progress
from receiver.store.record import Duplicate, NewEvent, Recorded
from receiver.store.settlements import EventSettled
from receiver.store.wake import MIRROR
from tests.acceptance.service import failed
from tests.servers.postgres import PostgresServer, following, running
from tests.servers.switch import Switch, switched
from tests.waiting.blocking import until

NOW = 1_700_000_000_000
WITHIN_S = 60


def an_event(generation_id: str, asset_host: str | None = None) -> NewEvent:
    new_id = event_id(NOW, secrets.token_bytes(10))
    return NewEvent(new_id, "photoverse", generation_id, COMPLETED, asset_host, b"{}", "webhook", NOW)


class Taker:
    """Has room for every event."""

    def __init__(self) -> None:
        self.freed: list[str] = []

    def reserve(self, _asset_host: str) -> Hold:
        return Hold(secrets.token_hex(16), clock.now_ms() + 60_000)

    def take(self, job: EventJob) -> None:
        raise AssertionError(job)

    def free(self, asset_host: str) -> None:
        self.freed.append(asset_host)


class Outbox:
    """Has room for every delivery, and gets none."""

    def reserve(self) -> Hold:
        return Hold(secrets.token_hex(16), clock.now_ms() + 60_000)

    def take(self, job: DeliveryJob) -> None:
        raise AssertionError(job)

    def free(self) -> None:
        pass


def claim(limit: int = 1) -> Claim:
    return Claim(NOW, NOW + 60_000, secrets.token_hex(16), limit)


def claim_now(limit: int = 1) -> Claim:
    return Claim(clock.now_ms(), clock.now_ms() + 60_000, secrets.token_hex(16), limit)


def ask(url: str, statement: str) -> list[Any]:
    """Return the first column of what *statement* finds, outside of any transaction."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


def end_sessions(url: str) -> None:
    """End every session of the receiver's, as an idle timeout, a scale to zero or a restart does."""
    ask(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'receiver'")


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = Store(url, destinations=("orders",))
    try:
        yield store
    finally:
        store.close()


async def served(call: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat *call* until it is served, as a sender or a worker does."""
    while True:
        try:
            return await call()
        except StoreUnavailable:
            await asyncio.sleep(0.2)


def of_hosts(database: str, *servers: PostgresServer | Switch) -> str:
    """Return the URL of a database that any of *servers* may have."""
    hosts = ",".join(["127.0.0.1"] * len(servers))
    ports = ",".join(str(server.port) for server in servers)
    return f"postgresql://receiver@/{database}?host={hosts}&port={ports}"


async def fill(store: Store) -> None:
    """Use several connections at once, so that the pool holds them."""
    await asyncio.gather(
        *(
            store.transact(lambda connection: connection.exec_driver_sql("SELECT pg_sleep(0.1)"))
            for _ in range(4)
        )
    )


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Run two servers that know nothing of each other, each with our schema to copy in `migrated`."""
    with running(durable=False) as old, running(durable=False) as new:
        for server in (old, new):
            ask(server.url, "CREATE DATABASE migrated")
            with opened(server.database_url("migrated")) as store:
                store.migrate()
        yield old, new


@pytest.fixture
def turned(pair: tuple[PostgresServer, PostgresServer]) -> Iterator[Callable[..., None]]:
    """Offer to make the old one read-only, as it is on its way down; its connections live on."""
    old, _ = pair

    def turn(value: str = "on") -> None:
        ask(old.url, f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        ask(old.url, "SELECT pg_reload_conf()")

    yield turn
    turn("off")


@pytest.fixture
def switch(pair: tuple[PostgresServer, PostgresServer]) -> Iterator[Switch]:
    for server in pair:
        ask(server.url, "DROP DATABASE IF EXISTS r WITH (FORCE)")
        ask(server.url, "CREATE DATABASE r TEMPLATE migrated")
    with switched(pair[0].port) as leading:
        yield leading


@pytest.fixture
async def store(switch: Switch) -> AsyncIterator[Store]:
    opened = Store(f"postgresql://receiver@127.0.0.1:{switch.port}/r", destinations=("orders",))
    yield opened
    opened.close()


async def claimed(store: Store) -> Any:
    await store.record(an_event("gen_claimed"))
    [job] = await store.claim(claim_events, claim(), with_asset=False)
    return job


async def each_kind(store: Store) -> Sequence[Callable[[], Awaitable[Any]]]:
    """Return calls of each kind that writes, with work for them to find."""
    job = await claimed(store)
    return [
        lambda: store.record(an_event("gen_new")),
        lambda: store.settle(EventSettled(job, None, NOW)),
        lambda: store.claim(claim_events, claim(), with_asset=False),
        lambda: store.claim(claim_deliveries, claim(), destination="orders"),
        lambda: store.transact_promptly(renew, [job.lease], until_ms=NOW),
        lambda: store.transact_promptly(release, [job.lease], now_ms=NOW),
        lambda: store.transact_promptly(pause, "orders", reason=None, now_ms=NOW),
        store.check,
    ]


class TestEndedSessions:
    async def test_first_after_a_quiet_spell(self, store: Store, switch: Switch) -> None:
        """Where the server ended every idle session, the next call of each kind is served, by a fresh one."""
        for call in await each_kind(store):
            await fill(store)
            end_sessions(f"postgresql://receiver@127.0.0.1:{switch.port}/r")
            await call()

    async def test_in_the_middle(self, store: Store, switch: Switch) -> None:
        """A transaction that loses its session before its COMMIT is run again, once."""
        runs: list[int] = []

        def work(connection: Any) -> int:
            pid = int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
            runs.append(pid)
            if len(runs) == 1:
                ask(f"postgresql://receiver@127.0.0.1:{switch.port}/r", f"SELECT pg_terminate_backend({pid})")
            return int(connection.exec_driver_sql("SELECT 1").scalar_one())

        assert await store.transact(work) == 1
        assert len(set(runs)) == 2

    @pytest.mark.parametrize("state", ["40001", "40P01"])
    async def test_lost_against_another(self, state: str, store: Store) -> None:
        """So is one that another had to go before: it was rolled back, on the same connection."""
        runs: list[None] = []
        lose = f"DO $$BEGIN RAISE EXCEPTION 'after you' USING ERRCODE = '{state}'; END$$"

        def work(connection: Any) -> int:
            runs.append(None)
            if len(runs) < 3:
                connection.exec_driver_sql(lose)
            return int(connection.exec_driver_sql("SELECT 1").scalar_one())

        assert await store.transact(work) == 1
        assert len(runs) == 3

    async def test_no_more_than_once(self, store: Store) -> None:
        """What ends its session each time is refused: it would go on for ever."""
        runs: list[None] = []

        def work(connection: Any) -> None:
            runs.append(None)
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

        with pytest.raises(StoreUnavailable, match="AdminShutdown"):
            await store.transact(work)
        assert len(runs) == 2


class TestReadOnly:
    async def test_each_kind_goes_to_the_new_one(
        self,
        store: Store,
        switch: Switch,
        pair: tuple[PostgresServer, PostgresServer],
        turned: Callable[..., None],
    ) -> None:
        """The old server lives and keeps its connections; each kind of call reaches the one that writes."""
        calls = await each_kind(store)
        await fill(store)
        turned()
        switch.target = pair[1].port
        results = await asyncio.gather(*(call() for call in calls))
        assert isinstance(results[0], Recorded)
        assert ask(pair[1].database_url("r"), "SELECT generation_id FROM event") == ["gen_new"]

    async def test_who_only_reads(
        self,
        store: Store,
        switch: Switch,
        pair: tuple[PostgresServer, PostgresServer],
        turned: Callable[..., None],
    ) -> None:
        """A process that never writes does not read the old server for ever."""
        await store.record(an_event("gen_old"))
        await fill(store)
        turned()
        switch.target = pair[1].port
        async with asyncio.timeout(WITHIN_S):
            while await store.transact(
                progress, ["gen_old"]
            ):  # the server tells of it with one of its next answers
                pass

    async def test_nobody_writes(self, store: Store, turned: Callable[..., None]) -> None:
        """While no server takes writes, calls are refused; once one does, the next is served."""
        await fill(store)
        turned()

        async def write() -> None:
            for number in range(1_000):  # the server's processes hear of it one after the other
                await store.record(an_event(f"gen_{number}"))

        with pytest.raises(StoreUnavailable, match="ReadOnly"):
            await write()
        turned("off")
        assert isinstance(await served(lambda: store.record(an_event("gen_new"))), Recorded)

    async def test_of_several_hosts(
        self, switch: Switch, pair: tuple[PostgresServer, PostgresServer], turned: Callable[..., None]
    ) -> None:
        """Of the hosts in the URL the one that takes writes is used, whichever stands first."""
        turned()
        with opened(of_hosts("r", *pair)) as store:
            assert isinstance(await store.record(an_event("gen_1")), Recorded)
        assert ask(pair[1].database_url("r"), "SELECT count(*) FROM event") == [1]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestHangs:
    """A server that is gone without a word, and another one of the URL that is there.

    What was left behind may be given back to a pool that is gone, and is then closed by the collector.
    """

    @pytest.fixture(autouse=True)
    async def collected(self) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(until, lambda: all(one.name != "store" for one in threading.enumerate()))
        gc.collect()

    @pytest.mark.parametrize("how", ["vanished", "frozen"])
    async def test_goes_on_with_the_other(
        self, how: str, switch: Switch, pair: tuple[PostgresServer, PostgresServer]
    ) -> None:
        """Each kind of call is served within 15 s, although connections live on and nobody says anything."""
        old, new = pair
        near = switch if how == "vanished" else old
        with opened(of_hosts("r", near, new)) as store:
            calls = await each_kind(store)
            await fill(store)
            began = time.monotonic()
            try:
                switch.swallow() if how == "vanished" else old.freeze()
                await asyncio.gather(*(served(call) for call in calls))
                assert time.monotonic() - began < 15
            finally:
                old.thaw()
            # It goes on, still takes itself for the primary, and stands first in the URL.
            store.engine.dispose()
            await served(lambda: store.record(an_event("gen_later")))
        found = ask(new.database_url("r"), "SELECT generation_id FROM event")
        assert {"gen_new", "gen_later"} <= set(found)

    async def test_nobody_is_kept_waiting(
        self, switch: Switch, pair: tuple[PostgresServer, PostgresServer]
    ) -> None:
        """Where there is no other server, each is refused in time; once it is back, it serves."""
        with opened(pair[0].database_url("r")) as store:
            await fill(store)
            pair[0].freeze()
            try:
                began = time.monotonic()
                tried = [store.record(an_event(f"gen_{number}")) for number in range(3)]
                refused = await asyncio.gather(*tried, return_exceptions=True)
                assert [type(each) for each in refused] == [StoreUnavailable] * 3
                assert time.monotonic() - began < 15
            finally:
                pair[0].thaw()
            await served(lambda: store.record(an_event("gen_after")))


class TestSynchronousStandby:
    """A real primary that waits for a real standby."""

    @pytest.fixture(scope="class")
    @staticmethod
    def primary() -> Iterator[PostgresServer]:
        with running(durable=False) as server:
            with opened(server.url) as store:
                store.migrate()
            yield server

    @pytest.fixture
    def standby(self, primary: PostgresServer) -> Iterator[PostgresServer]:
        with following(primary) as server:
            ask(primary.url, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            ask(primary.url, "SELECT pg_reload_conf()")
            try:
                yield server
            finally:
                server.thaw()
                ask(primary.url, "ALTER SYSTEM RESET synchronous_standby_names")
                ask(primary.url, "SELECT pg_reload_conf()")

    @pytest.fixture
    def store(self, primary: PostgresServer, standby: PostgresServer) -> Iterator[Store]:
        with opened(primary.url) as store:
            yield store

    def waiting(self, primary: PostgresServer, do: str) -> Any:
        """*do* something, `pg_cancel_backend`, to the commits that wait for the standby."""
        found = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        return ask(primary.url, f"SELECT {do}(pid) {found}")

    async def test_cancelled_commit(
        self, store: Store, primary: PostgresServer, standby: PostgresServer
    ) -> None:
        """A COMMIT that was cancelled succeeds with a warning: that is no answer; its repeat waits."""
        standby.freeze()
        recording = asyncio.create_task(store.record(an_event("gen_cancelled")))
        await asyncio.to_thread(until, lambda: self.waiting(primary, "pg_cancel_backend"))
        with pytest.raises(StoreUnavailable, match="committed with a warning: 01000"):
            await recording
        repeating = asyncio.create_task(store.record(an_event("gen_cancelled")))
        await asyncio.to_thread(until, lambda: self.waiting(primary, "pg_backend_pid() <> "))
        assert not repeating.done()
        standby.thaw()
        assert isinstance(await repeating, Duplicate)

    @pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
    async def test_repeat_of_a_held_row(
        self, how: str, store: Store, primary: PostgresServer, standby: PostgresServer
    ) -> None:
        """A repeat that cannot be counted, because another holds the row, waits for the standby too."""
        generation = f"gen_{how}"
        standby.freeze()
        recording = asyncio.create_task(store.record(an_event(generation)))
        await asyncio.to_thread(until, lambda: self.waiting(primary, how))
        with pytest.raises(StoreUnavailable):
            await recording
        held = f"SELECT 1 FROM event WHERE generation_id = '{generation}' FOR UPDATE"
        with psycopg.connect(primary.url) as other:
            assert other.execute(held).fetchall(), "the row is there, on this server"
            repeating = asyncio.create_task(store.record(an_event(generation)))
            await asyncio.to_thread(until, lambda: self.waiting(primary, "pg_backend_pid() <> "))
            assert not repeating.done()
            standby.thaw()
            assert isinstance(await repeating, Duplicate)
            other.rollback()

    @pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
    async def test_unanswered_claim(
        self, how: str, store: Store, primary: PostgresServer, standby: PostgresServer
    ) -> None:
        """A claim that took work and could not say so gives it back at once, without an attempt counted."""
        await store.claim(claim_events, claim_now(1_000), with_asset=False)  # what other tests left
        await store.record(an_event(f"gen_claimed_{how}"))
        standby.freeze()
        claiming = asyncio.create_task(store.claim(claim_events, claim_now(), with_asset=False))
        await asyncio.to_thread(until, lambda: self.waiting(primary, how))
        with pytest.raises(StoreUnavailable):
            await claiming
        standby.thaw()
        assert not await store.claim(claim_events, claim_now(), with_asset=False)
        await store.free_doubtful(pause_s=0)
        [job] = await store.claim(claim_events, claim_now(), with_asset=False)
        assert job.attempts == 1
        assert await store.settle(EventSettled(job, None, NOW))

    async def test_unanswered_handover(
        self, store: Store, primary: PostgresServer, standby: PostgresServer
    ) -> None:
        """So does an event that was to be handed over as it was recorded."""
        taker = Taker()
        standby.freeze()
        with store.handover.of_events(taker):
            recording = asyncio.create_task(store.record(an_event("gen_handed", asset_host="a.example.com")))
            await asyncio.to_thread(until, lambda: self.waiting(primary, "pg_terminate_backend"))
            with pytest.raises(StoreUnavailable):
                await recording
        standby.thaw()
        assert taker.freed == ["a.example.com"]
        assert not await store.claim(claim_events, claim_now(), with_asset=True)
        await store.free_doubtful(pause_s=0)
        [job] = await store.claim(claim_events, claim_now(), with_asset=True)
        assert job.generation_id == "gen_handed"

    async def test_unanswered_settling(
        self, store: Store, primary: PostgresServer, standby: PostgresServer
    ) -> None:
        """So do events that are settled as they are found: their deliveries, and what was only claimed."""
        await store.claim(claim_events, claim_now(1_000), with_asset=False)  # what other tests left
        await store.record(an_event("gen_unreadable"))
        readable = an_event("gen_without")._replace(type=FAILED, body=failed("gen_without"))
        await store.record(readable)
        standby.freeze()
        with store.handover.of_deliveries("orders", Outbox()):
            settling = asyncio.create_task(store.settle_due(claim_now(10)))
            await asyncio.to_thread(until, lambda: self.waiting(primary, "pg_terminate_backend"))
            with pytest.raises(StoreUnavailable):
                await settling
        standby.thaw()
        held = await store.claim(claim_deliveries, claim_now(1_000), destination="orders")
        assert "gen_without" not in {job.generation_id for job in held}
        await store.free_doubtful(pause_s=0)
        [event] = await store.claim(claim_events, claim_now(), with_asset=False)
        [delivery] = await store.claim(claim_deliveries, claim_now(), destination="orders")
        assert (event.generation_id, delivery.generation_id) == ("gen_unreadable", "gen_without")

    async def test_not_ready(self, store: Store, standby: PostgresServer) -> None:
        """While the standby is away, a look does not end well; once it is back, it does."""
        standby.freeze()
        with pytest.raises(StoreUnavailable, match="no answer within 7 s"):
            await store.check()
        standby.thaw()
        await served(store.check)

    async def test_promoted_standby(self) -> None:
        """What was answered is on the standby that takes over, and it is written there from then on."""
        with ExitStack() as stack:
            primary = stack.enter_context(running(durable=False))
            standby = stack.enter_context(following(primary))
            with opened(of_hosts("postgres", primary, standby)) as store:
                store.migrate()
                ask(primary.url, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
                ask(primary.url, "SELECT pg_reload_conf()")
                await asyncio.gather(*(store.record(an_event(f"gen_{number}")) for number in range(20)))
                standby.freeze()
                in_doubt = asyncio.create_task(store.record(an_event("gen_in_doubt")))
                await asyncio.to_thread(until, lambda: self.waiting(primary, "pg_backend_pid() <> "))
                primary.kill()
                with pytest.raises(StoreUnavailable, match="lost while it committed"):
                    await in_doubt
                standby.thaw()
                ask(standby.url, "SELECT pg_promote()")
                there = set(ask(standby.url, "SELECT generation_id FROM event"))
                assert there >= {f"gen_{number}" for number in range(20)}
                assert isinstance(await store.record(an_event("gen_after")), Recorded)


class TestCheck:
    """Readiness does what a delivery does."""

    async def test_nothing_stays(self, store: Store, pair: tuple[PostgresServer, PostgresServer]) -> None:
        """A look writes and commits, and nobody ever sees what."""
        url = pair[0].database_url("r")
        before = ask(url, "SELECT pg_current_wal_flush_lsn()::text")
        await store.check()
        assert ask(url, f"SELECT pg_current_wal_flush_lsn() > '{before[0]}'") == [True]
        assert ask(url, "SELECT (SELECT count(*) FROM quarantine) + (SELECT count(*) FROM event)") == [0]

    async def test_read_only(self, store: Store, turned: Callable[..., None]) -> None:
        """A database that takes no writes takes no delivery."""
        turned()
        with pytest.raises(StoreUnavailable, match="ReadOnly"):
            await store.check()

    @pytest.mark.parametrize("table", ["event", "quarantine"])
    async def test_locked(
        self, table: str, store: Store, pair: tuple[PostgresServer, PostgresServer]
    ) -> None:
        """Nor does one whose tables another holds."""
        with psycopg.connect(pair[0].database_url("r")) as other:
            other.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable, match="LockNotAvailable"):
                await store.check()
            other.rollback()
        await store.check()

    async def test_no_room_for_a_delivery(
        self, store: Store, pair: tuple[PostgresServer, PostgresServer]
    ) -> None:
        """While deliveries find no room it is not ready, though a probe might; once one does, it is."""
        url = pair[0].database_url("r")
        full = "RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'"
        ask(url, f"CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {full}; END$$")
        ask(url, "CREATE TRIGGER t BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION full_disk()")
        with pytest.raises(StoreUnavailable, match="DiskFull"):
            await store.record(an_event("gen_1"))
        with pytest.raises(StoreUnavailable, match="DiskFull"):
            await store.check()
        ask(url, "DROP TRIGGER t ON event")
        await store.record(an_event("gen_1"))
        await store.check()


class TestListening:
    """The connection that hears of others' work is asked now and then whether its server is still the one."""

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("_HEARTBEAT_S", "_RECONNECT_S"):
            monkeypatch.setattr(import_module("receiver.store.listen"), name, 0.3)

    @contextmanager
    def listening(self, url: str) -> Iterator[tuple[Store, asyncio.Event]]:
        """Listen; what is yielded is set whenever it begins anew, and when somebody notifies."""
        with opened(url) as store:
            woken = store.wake.subscribe(MIRROR)
            task = asyncio.create_task(store.listen())
            try:
                yield store, woken
            finally:
                task.cancel()

    @pytest.mark.parametrize("how", ["vanished", "demoted"])
    async def test_is_left(
        self,
        how: str,
        switch: Switch,
        pair: tuple[PostgresServer, PostgresServer],
        turned: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A server that says nothing any more, and one that only reads, are left for the one that writes."""
        if how == "vanished":
            monkeypatch.setattr(import_module("receiver.store.listen"), "_ANSWER_S", 0.3)
        with self.listening(of_hosts("r", switch, pair[1]) + "&connect_timeout=2") as (_, woken):
            async with asyncio.timeout(WITHIN_S):
                await woken.wait()
                woken.clear()
                switch.swallow() if how == "vanished" else turned()
                await woken.wait()
                woken.clear()
                ask(pair[1].database_url("r"), "NOTIFY receiver_work, 'mirror'")
                await woken.wait()

    async def test_is_kept(self, switch: Switch, pair: tuple[PostgresServer, PostgresServer]) -> None:
        """While nobody notifies, a server that answers is asked on the same connection."""
        url = pair[0].database_url("r")
        asked = (
            "SELECT pid, state_change::text FROM pg_stat_activity WHERE query = 'SHOW transaction_read_only'"
        )
        with self.listening(f"postgresql://receiver@127.0.0.1:{switch.port}/r") as (_, woken):
            async with asyncio.timeout(WITHIN_S):
                await woken.wait()
            woken.clear()
            with psycopg.connect(url, autocommit=True) as other:
                [(pid, when)] = await asyncio.to_thread(until, lambda: other.execute(asked).fetchall())
                [(again, _)] = await asyncio.to_thread(
                    until, lambda: [row for row in other.execute(asked).fetchall() if row[1] != when]
                )
            assert again == pid
            assert not woken.is_set()
            ask(url, "NOTIFY receiver_work, 'mirror'")
            async with asyncio.timeout(WITHIN_S):
                await woken.wait()


class TestWakingOthers:
    """Workers on other machines are woken behind the answer, and apart from it."""

    async def test_is_told(self, store: Store, pair: tuple[PostgresServer, PostgresServer]) -> None:
        """Who listens hears of every kind of work that was made."""
        with psycopg.connect(pair[0].database_url("r"), autocommit=True) as other:
            other.execute("LISTEN receiver_work")
            job = await claimed(store)
            await store.settle(EventSettled(job, None, NOW))
            heard: set[str] = set()
            while heard < {"mirror", "forward"}:
                told = await asyncio.to_thread(lambda: list(other.notifies(timeout=WITHIN_S, stop_after=1)))
                assert told, f"only {heard}"
                heard |= {each.payload for each in told}

    async def test_no_delivery_fails_by_it(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """The queue of notifications may be full: events are recorded and settled all the same."""
        failed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def fail(_connection: Any, _topics: Any) -> None:
            loop.call_soon_threadsafe(failed.set)
            raise OperationalError("NOTIFY", {}, RuntimeError("too many notifications in the queue"))

        monkeypatch.setattr("receiver.store.transactions.notify", fail)
        job = await claimed(store)
        assert await store.settle(EventSettled(job, None, NOW))
        async with asyncio.timeout(WITHIN_S):
            await failed.wait()
        assert isinstance(await store.record(an_event("gen_next")), Recorded)
