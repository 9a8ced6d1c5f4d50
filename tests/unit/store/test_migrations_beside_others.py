"""Migrating PostgreSQL while others read it for long and deliveries come in."""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from alembic import command
from sqlalchemy import Engine, event
from sqlalchemy.exc import ProgrammingError

from receiver.contract import COMPLETED
from receiver.store.engine import connect
from receiver.store.migrations import _config, building, migrate, revising, revisions
from receiver.store.migrations.indexes import RETIRED
from receiver.store.postgresql import Session
from tests.waiting.blocking import until

WITHIN_S = 20
LONG_S = 5.0
"""Less than a sender waits for its answer; the lock is waited for in fractions of a second."""
ROWS = 20_000
TRIES = 3
INSERT = """
    INSERT INTO event
        (id, source, generation_id, type, body, via, received_ms, repeats, state, due_ms, attempts)
    SELECT 'id' || n, 'photoverse', 'gen' || n, %s, '{}', 'webhook', n, 0, 'pending', n, 0
    FROM generate_series(%s::int, %s::int) n
"""
HELD = "LOCK TABLE event, asset, delivery IN ACCESS SHARE MODE"
"""What pg_dump does first."""
SLOW = re.compile(
    r"CREATE (UNIQUE )?INDEX|DROP INDEX|ADD (CONSTRAINT|UNIQUE|FOREIGN|CHECK)|SET NOT NULL| TYPE "
)
"""What reads a table that is there while nobody may write to it."""


@pytest.fixture
def engine(postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Return a database as a release of long ago left it, with rows."""
    monkeypatch.setattr(revising, "_TELL_S", 0.01)
    monkeypatch.setattr(building, "_TELL_S", 0.01)
    opened = connect(postgres_database)
    with opened.begin() as connection:
        command.upgrade(_config(connection), "0007")
    with psycopg.connect(postgres_database) as connection:
        connection.execute(INSERT, [COMPLETED, 1, ROWS])
    yield opened
    opened.dispose()


@contextmanager
def reading(url: str, *statements: str) -> Iterator[psycopg.Connection[Any]]:
    """Keep a transaction and its snapshot as a backup does, until `rollback`."""
    with psycopg.connect(url, application_name="pg_dump") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for statement in (*statements, "SELECT 1"):
            connection.execute(statement)
        yield connection


@contextmanager
def accepting(url: str) -> Iterator[list[float]]:
    """Insert events one after another until the end of the block; offer the seconds that each took."""
    took: list[float] = []
    end = threading.Event()

    def accept() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not end.wait(0.005):
                began, number = time.monotonic(), ROWS + len(took) + 1
                connection.execute(INSERT, [COMPLETED, number, number])
                took.append(time.monotonic() - began)

    with ThreadPoolExecutor(1) as threads:
        work = threads.submit(accept)
        try:
            yield took
        finally:
            end.set()
            work.result()


def indexes_of(url: str) -> dict[str, bool]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname ~ 'ix_'"
        ).fetchall()
    return dict(rows)


class TestMigrate:
    def test_beside_a_backup(self, engine: Engine, postgres_database: str) -> None:
        """Events are accepted all along; whoever holds the tables is named, and waited for."""
        told: list[str] = []
        with (
            ThreadPoolExecutor(1) as threads,
            accepting(postgres_database) as took,
            reading(postgres_database, HELD) as backup,
        ):
            running = threads.submit(migrate, engine, told.append)
            name = f"process {backup.info.backend_pid} (pg_dump, user receiver, idle in transaction, since "
            until(lambda: len(told) >= TRIES)
            assert not running.done()
            assert all(name in line for line in told)
            held = len(took)
            until(lambda: len(took) > held + 10)
            backup.rollback()
            assert running.result(WITHIN_S) == ("0007", revisions()[0])
        assert max(took) < LONG_S
        assert all(indexes_of(postgres_database).values())

    def test_says_so_once_in_a_while(
        self, engine: Engine, postgres_database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It tries again far more often than it tells of it."""
        monkeypatch.setattr(revising, "_TELL_S", 600)
        told: list[str] = []
        tries: list[str] = []

        def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            tries.extend([statement] if "lock_timeout" in statement else [])

        event.listen(engine, "before_cursor_execute", count)
        with ThreadPoolExecutor(1) as threads, reading(postgres_database, HELD) as backup:
            running = threads.submit(migrate, engine, told.append)
            until(lambda: len(tries) > TRIES)
            backup.rollback()
            running.result(WITHIN_S)
        assert len([line for line in told if "tries again" in line]) == 1

    def test_a_revision_that_fails(self, engine: Engine, postgres_database: str) -> None:
        """It is told at once what is wrong, and what was there stays: it can be put right and run again."""
        with psycopg.connect(postgres_database, autocommit=True) as other:
            other.execute("CREATE TABLE operation (what int)")
            with pytest.raises(ProgrammingError, match='"operation" already exists'):
                migrate(engine)
            other.execute("DROP TABLE operation")
        assert migrate(engine) == ("0007", revisions()[0])

    def test_indexes_beside_an_old_snapshot(self, engine: Engine, postgres_database: str) -> None:
        """What is built waits for older transactions, says for whose, and nobody waits for it."""
        told: list[str] = []
        with (
            ThreadPoolExecutor(1) as threads,
            accepting(postgres_database) as took,
            reading(postgres_database) as backup,
        ):
            running = threads.submit(migrate, engine, told.append)
            name = f"waits for process {backup.info.backend_pid} (pg_dump"
            until(lambda: any(name in line for line in told))
            held = len(took)
            until(lambda: len(took) > held + 10)
            backup.rollback()
            running.result(WITHIN_S)
        assert max(took) < LONG_S

    def test_an_index_left_half_made(self, engine: Engine, postgres_database: str) -> None:
        """One that is not valid is built again, what is lacking is built, what is retired goes."""
        migrate(engine)
        expected = indexes_of(postgres_database)
        assert all(expected.values())
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_event_lease'::regclass"
            )
            connection.execute("DROP INDEX ix_event_due")
            connection.execute(f"CREATE INDEX {RETIRED}ix_event_due ON event (due_ms)")
        assert migrate(engine) == (revisions()[0], revisions()[0])
        assert indexes_of(postgres_database) == expected

    def test_the_revisions_read_no_table(self, engine: Engine) -> None:
        """No revision makes an index or a constraint on a table in use: it would stop deliveries."""
        statements: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        migrate(engine)
        assert len(statements) > len(revisions())
        assert [statement for statement in statements if SLOW.search(statement)] == []

    def test_one_at_a_time(
        self, engine: Engine, postgres_database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A second one waits for the first, and says so once."""
        told: list[str] = []
        tries: list[bool] = []
        take = revising._take

        def count(session: Session) -> bool:
            tries.append(take(session))
            return tries[-1]

        monkeypatch.setattr(revising, "_take", count)
        with ThreadPoolExecutor(1) as threads, psycopg.connect(postgres_database) as first:
            first.execute("SELECT pg_advisory_xact_lock(%s)", [revising.LOCK_KEY])
            running = threads.submit(migrate, engine, told.append)
            until(lambda: len(tries) > 2)
            assert told == ["another migration is under way; waiting for its end"]
            assert not running.done()
            first.rollback()
            assert running.result(WITHIN_S)[1] == revisions()[0]
