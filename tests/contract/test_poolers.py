"""The store through a pooler: PgBouncer at its defaults, in session and in transaction mode."""

import asyncio
from contextlib import ExitStack, closing
from importlib import import_module

import psycopg
import pytest
import structlog.testing
from sqlalchemy import event

from receiver.contract import FAILED
from receiver.store import Store
from receiver.store.engine import WAKE_CHANNEL
from receiver.store.migrations import revisions
from receiver.store.record import Recorded
from receiver.store.settlements import DeliveryConfirmed
from receiver.store.wake import SETTLE
from tests.servers.pgbouncer import PgBouncer, pooling
from tests.servers.postgres import PostgresServer
from tests.stored import NOW, an_event, claimed, settled
from tests.waiting.aio import until

WITHIN_S = 20
EVENTS = 60
"""Several times what it takes until psycopg prepares a statement."""


@pytest.fixture(params=["session", "transaction"])
def pooler(request: pytest.FixtureRequest) -> PgBouncer:
    found = request.getfixturevalue(f"{request.param}_pooler")
    assert isinstance(found, PgBouncer)
    return found


@pytest.fixture
def pooled(pooler: PgBouncer, migrated_postgres_database: str) -> str:
    """Return the URL, through the pooler, of a database with our schema."""
    with psycopg.connect(migrated_postgres_database, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        connection.execute(f"ALTER DATABASE {name} SET statement_timeout = '3s'")
    return pooler.database_url(migrated_postgres_database)


class TestPooler:
    def test_migrates(self, pooler: PgBouncer, postgres_database: str) -> None:
        """A database comes to our schema through it, too."""
        with closing(Store(pooler.database_url(postgres_database))) as store:
            assert store.migrate() == (None, revisions()[0])

    async def test_events_go_all_the_way(self, pooled: str) -> None:
        """Recorded, settled and confirmed once each, by several processes at a time."""
        with ExitStack() as stack:
            stores = [stack.enter_context(closing(Store(pooled, destinations=["orders"]))) for _ in range(3)]
            for n in range(EVENTS // 3):
                await asyncio.gather(
                    *(settled(store, an_event(f"gen_{i}_{n}", FAILED)) for i, store in enumerate(stores))
                )
            confirmed = 0
            while jobs := [job for store in stores for job in await claimed(store)]:
                held = await asyncio.gather(*(stores[0].settle(DeliveryConfirmed(job, NOW)) for job in jobs))
                confirmed += sum(held)
        assert confirmed == EVENTS

    async def test_every_transaction_says_what_it_depends_on(self, pooled: str) -> None:
        """Commits are durable and waits are bounded, whatever the database's defaults are."""
        names = ("synchronous_commit", "statement_timeout", "lock_timeout", "transaction_isolation")
        asked = ", ".join(f"current_setting('{name}')" for name in names)

        def look(connection: object) -> tuple[str, ...]:
            rows = connection.exec_driver_sql(f"SELECT pg_sleep(0.01), {asked}")  # type: ignore[attr-defined]
            return tuple(rows.one()[1:])

        with closing(Store(pooled)) as store:
            seen = await asyncio.gather(*(store.transact(look) for _ in range(12)))
        assert set(seen) == {("on", "10s", "5s", "read committed")}

    async def test_leaves_nothing_behind(self, pooled: str) -> None:
        """Another client of the pooler gets the server's settings, and not ours."""
        with closing(Store(pooled)) as store:
            await asyncio.gather(*(store.check() for _ in range(12)))
        with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as connection:
            assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)

    async def test_a_pooler_that_restarts(self, pooler: PgBouncer, pooled: str) -> None:
        """Connections that ended with it are left, and nobody is told of it."""
        with closing(Store(pooled)) as store:
            await store.record(an_event("gen_1"))
            await asyncio.to_thread(pooler.stop)
            await asyncio.to_thread(pooler.start)
            assert isinstance(await store.record(an_event("gen_2")), Recorded)


class TestListen:
    async def test_through_sessions(self, session_pooler: PgBouncer, migrated_postgres_database: str) -> None:
        """Notifications arrive."""
        url = session_pooler.database_url(migrated_postgres_database)
        with closing(Store(url)) as store, closing(Store(url)) as other:
            listening = asyncio.create_task(store.listen())
            woken = store.wake.subscribe(SETTLE)
            async with asyncio.timeout(WITHIN_S):
                await woken.wait()
                woken.clear()
                await other.record(an_event())
                await woken.wait()
            listening.cancel()
            await asyncio.wait([listening])

    async def test_while_others_notify(self, session_pooler: PgBouncer, postgres_database: str) -> None:
        """Before it knows that notifications arrive, those of others are none of its own."""
        with closing(Store(session_pooler.database_url(postgres_database))) as store:

            def notify(_connection: object, _cursor: object, statement: str, *_: object) -> None:
                if "pg_notify" in statement:
                    with psycopg.connect(postgres_database, autocommit=True) as other:
                        other.execute("SELECT pg_notify(%s, 'other')", [WAKE_CHANNEL])

            event.listen(store.engine, "before_cursor_execute", notify)
            listening = asyncio.create_task(store.listen())
            woken = store.wake.subscribe(SETTLE)
            async with asyncio.timeout(WITHIN_S):
                await woken.wait()
            listening.cancel()
            await asyncio.wait([listening])

    async def test_through_transactions(
        self, transaction_pooler: PgBouncer, postgres_database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where they cannot arrive it says so, once, and leaves finding work to the poll."""
        monkeypatch.setattr(import_module("receiver.store.listen"), "_ECHO_S", 0.2)
        with (
            structlog.testing.capture_logs() as lines,
            closing(Store(transaction_pooler.database_url(postgres_database))) as store,
        ):
            listening = asyncio.create_task(store.listen())
            await until(lambda: lines)
            listening.cancel()
            await asyncio.wait([listening])
        assert [line["event"] for line in lines] == [
            "LISTEN has no effect through this pooler; polling instead"
        ]


class TestUrl:
    async def test_a_pooler_that_does_not_show(
        self, postgres_server: PostgresServer, postgres_database: str
    ) -> None:
        """`?pgbouncer=true` says what could not be seen: each transaction says its settings for itself."""
        with pooling(postgres_server, "transaction", "ignore_startup_parameters = options") as bouncer:
            url = f"{bouncer.database_url(postgres_database)}?pgbouncer=true&connection_limit=1"
            with closing(Store(url)) as store:
                store.migrate()
                await store.check()
