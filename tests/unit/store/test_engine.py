"""Connections: durable on either database, and refused where they could not be."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from receiver.errors import ConfigError
from receiver.store.engine import connect, is_sqlite

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
