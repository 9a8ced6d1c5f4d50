"""Connections: durable on either database, and refused where they could not be."""

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import IntegrityError, OperationalError

from receiver.errors import ConfigError
from receiver.store.engine import connect, database_exists, execute, is_sqlite

LEAK = "hunter2hunter2"


def settings_of(url: str, *names: str) -> list[str]:
    """Return PostgreSQL settings as our connections have them."""
    engine = connect(url)
    try:
        with engine.begin() as connection:
            return [str(connection.exec_driver_sql(f"SHOW {name}").scalar()) for name in names]
    finally:
        engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path}/deep/down/receiver.db")
    yield engine
    engine.dispose()


class TestConnect:
    def test_sqlite_is_durable(self, sqlite: Engine) -> None:
        """Every connection writes through to the disk and keeps its foreign keys; its folder is made."""
        for _ in range(2):
            with sqlite.begin() as connection:
                pragmas = ("journal_mode", "synchronous", "foreign_keys")
                values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
            assert values == ["wal", 2, 1]
            sqlite.dispose()

    def test_sqlite_locks_before_it_reads(self, sqlite: Engine) -> None:
        """A transaction holds the write lock from its beginning, against other processes too."""
        with sqlite.begin():
            other = sqlite3.connect(str(sqlite.url.database), timeout=0, isolation_level=None)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            other.close()

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "nonsense",
            f"mysql://u:{LEAK}@h/d",
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite:////proc/none/receiver.db",
            f"postgresql://u:{LEAK}@h:port/d",
        ],
    )
    def test_unusable_url(self, url: str) -> None:
        """What cannot hold events is refused by the name of the setting, without its password."""
        with pytest.raises(ConfigError, match="RECEIVER_DATABASE_URL") as refused:
            connect(url)
        assert LEAK not in str(refused.value)

    @pytest.mark.parametrize(
        "scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg2"]
    )
    def test_postgres_schemes(self, scheme: str) -> None:
        """Every spelling that platforms hand out is PostgreSQL, through one driver."""
        engine = connect(f"{scheme}://u:p%40ss@h/d")
        assert not is_sqlite(engine)
        assert engine.url.drivername == "postgresql+psycopg"
        assert engine.url.password == "p@ss"

    def test_postgres_without_its_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who lacks the extra is told which."""
        for name in [name for name in sys.modules if name.startswith("receiver.store.postgres")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(ConfigError, match=r"avs-receiver\[postgres\]"):
            connect("postgresql://h/d")

    @pytest.mark.parametrize(
        ("default", "effective"), [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
    )
    def test_postgres_is_durable(self, postgres_database: str, default: str, effective: str) -> None:
        """Commits wait for the disk even where the server's default is not to; a stronger one is kept."""
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = {default}")
        assert settings_of(postgres_database, "synchronous_commit") == [effective]

    def test_postgres_statements_end(self, postgres_database: str) -> None:
        """No statement and no lock is waited for without end."""
        assert settings_of(postgres_database, "statement_timeout", "lock_timeout") == ["10s", "5s"]

    def test_postgres_options_of_the_url(self, postgres_database: str) -> None:
        """What the URL's own options set still holds, beside ours."""
        url = f"{postgres_database}?options=-c%20search_path%3Delsewhere"
        assert settings_of(url, "search_path", "statement_timeout") == ["elsewhere", "10s"]


class TestDatabaseExists:
    def test_looks_at_nothing_but_the_file(self, tmp_path: Path) -> None:
        """A server may have one; a URL that nobody can read has none."""
        path = tmp_path / "receiver.db"
        assert not database_exists(f"sqlite:///{path}")
        path.touch()
        assert database_exists(f"sqlite:///{path}")
        assert database_exists("postgresql://nowhere.example/d")
        assert not database_exists("nonsense")


class TestExecute:
    """A statement that goes past SQLAlchemy is none of its own only in what it costs."""

    def test_runs_within_the_transaction(self, sqlite: Engine) -> None:
        """What is rolled back was never there."""
        with sqlite.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE number (n INTEGER PRIMARY KEY)")
        with sqlite.connect() as connection, connection.begin() as transaction:
            assert execute(connection, "INSERT INTO number VALUES (?)", (1,)).rowcount == 1
            assert list(execute(connection, "SELECT n FROM number")) == [(1,)]
            transaction.rollback()
        with sqlite.begin() as connection:
            assert list(execute(connection, "SELECT n FROM number")) == []

    def test_fails_as_sqlalchemy_does(self, sqlite: Engine) -> None:
        """Wrapped, and told to whoever judges errors."""
        judged: list[Any] = []
        event.listen(sqlite, "handle_error", lambda context: judged.append(context.original_exception))
        with sqlite.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE number (n INTEGER PRIMARY KEY)")
            execute(connection, "INSERT INTO number VALUES (?)", (1,))
            with pytest.raises(IntegrityError) as refused:
                execute(connection, "INSERT INTO number VALUES (?)", (1,))
            with pytest.raises(OperationalError):
                execute(connection, "SELECT nothing FROM nowhere")
        assert refused.value.orig is judged[0]
        assert len(judged) == 2

    def test_finds_a_lost_connection(self, postgres_database: str) -> None:
        """A server that ended the session costs the connection, as ever."""
        engine = connect(postgres_database)
        with pytest.raises(OperationalError) as lost:
            _end_own_session(engine, postgres_database)
        assert lost.value.connection_invalidated
        engine.dispose()

    def test_is_heard_by_who_listens(self, sqlite: Engine) -> None:
        """Tracing sees every statement."""
        heard: list[str] = []

        def hear(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
            heard.append(statement)

        event.listen(sqlite, "before_cursor_execute", hear)
        with sqlite.begin() as connection:
            assert execute(connection, "SELECT ?", (1,)).fetchone() == (1,)
        assert heard == ["BEGIN IMMEDIATE", "SELECT ?"]


def _end_own_session(engine: Engine, url: str) -> None:
    with engine.begin() as connection, psycopg.connect(url, autocommit=True) as other:
        (pid,) = execute(connection, "SELECT pg_backend_pid()").fetchone()
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        execute(connection, "SELECT 1")
