"""Sessions that depend on no default of the server, the database or the role."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import structlog.testing
from psycopg import sql
from sqlalchemy.exc import ProgrammingError

from receiver.store import postgresql
from receiver.store.database_url import parse
from receiver.store.engine import connect
from receiver.store.postgres_url import read_target
from receiver.store.postgresql import SETTINGS, Session, open_session

HOSTILE = {
    "bytea_output": "escape",
    "client_min_messages": "error",
    "datestyle": "German",
    "default_transaction_deferrable": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "extra_float_digits": "-15",
    "idle_in_transaction_session_timeout": "0",
    "intervalstyle": "iso_8601",
    "jit": "on",
    "lock_timeout": "0",
    "plan_cache_mode": "force_generic_plan",
    "row_security": "on",
    "search_path": "",
    "standard_conforming_strings": "off",
    "statement_timeout": "0",
    "synchronous_commit": "off",
    "timezone": "Asia/Kolkata",
    "transaction_timeout": "20s",
}


def alter(url: str, settings: dict[str, str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        for setting, value in settings.items():
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(name, sql.Identifier(setting), value)
            )


def shown(session: Session, name: str) -> str:
    return str(session.execute(f"SHOW {name}").fetchall()[0][0])


def reload(url: str, expected: str) -> None:
    """Let the server read its file again, and wait until a new session reads or writes as *expected*."""
    shows = ""
    while shows != expected:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
            shows = str(connection.execute("SHOW default_transaction_read_only").fetchall()[0][0])


@contextmanager
def encoded(url: str, encoding: str) -> Iterator[str]:
    """Offer a database in *encoding*, on the server of *url*."""
    name = f"encoded_{encoding.lower()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        try:
            yield f"{url.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Slow(Session):
    """A session that says its settings to a server that takes half a second for it."""

    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        if query is postgresql._SAY:
            super().execute("SELECT pg_sleep(0.5)")
        return super().execute(query, *args, **options)


@pytest.fixture
def session(postgres_database: str) -> Iterator[Session]:
    """Return a session on a database whose defaults are the opposite of what we need."""
    alter(postgres_database, HOSTILE)
    with open_session(read_target(parse(postgres_database))) as opened:
        yield opened


class TestOpenSession:
    def test_says_what_it_depends_on(self, session: Session) -> None:
        """None of the database's defaults is left where our work depends on it."""
        expected = {
            **SETTINGS,
            "idle_in_transaction_session_timeout": "1min",
            "search_path": '"$user", public',
        }
        ours = {name: shown(session, name) for name in SETTINGS}
        assert ours == {**expected, "timezone": "UTC"}
        assert shown(session, "transaction_timeout") == "0"
        assert shown(session, "client_encoding") == "UTF8"

    def test_writes(self, session: Session) -> None:
        """Transactions read committed rows and write, though the database says to read."""
        assert shown(session, "transaction_read_only") == "off"
        assert shown(session, "transaction_isolation") == "read committed"

    def test_keeps_what_the_url_says_of_durability(self, postgres_database: str) -> None:
        """Whatever waits for the disk; what does not is no choice."""
        alter(postgres_database, {"synchronous_commit": "off"})
        for told, holds in (("remote_apply", "remote_apply"), ("local", "local"), ("off", "on")):
            url = f"{postgres_database}?synchronous_commit={told}"
            with open_session(read_target(parse(url))) as session:
                assert shown(session, "synchronous_commit") == holds

    def test_refused_by_the_server(self, postgres_database: str) -> None:
        """What the URL says and the server does not know leaves no connection behind."""
        target = read_target(parse(f"{postgres_database}?options=-c%20nonsense%3D1"))
        with pytest.raises(psycopg.errors.UndefinedObject, match="nonsense"):
            open_session(target)
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
            while connection.execute(others, [connection.info.backend_pid]).fetchall():
                pass

    def test_a_server_that_only_reads_is_not_written_to(self, postgres_database: str) -> None:
        """A demoted server says so by its own setting, which is left as it is."""
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            try:
                reload(postgres_database, "on")
                with open_session(read_target(parse(postgres_database))) as session:
                    assert shown(session, "transaction_read_only") == "on"
            finally:
                connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
                reload(postgres_database, "off")

    def test_a_default_too_short_for_anything(
        self, postgres_database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Even a database that ends the first statement of a session is used."""
        alter(postgres_database, {"statement_timeout": "250ms"})
        monkeypatch.setattr(postgresql, "Session", Slow)
        with open_session(read_target(parse(postgres_database))) as session:
            assert shown(session, "statement_timeout") == "10s"

    def test_keeps_a_search_path_that_finds_a_schema(self, postgres_database: str) -> None:
        """Where tables are to lie is the operator's to say."""
        alter(postgres_database, {"search_path": "elsewhere"})
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA elsewhere")
        with open_session(read_target(parse(postgres_database))) as session:
            assert shown(session, "search_path") == "elsewhere"

    @pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
    def test_encodings(self, postgres_url: str, encoding: str) -> None:
        """A database in any encoding keeps every text, and gives it back as it was."""
        told = ["plain", "échec", "日本 😀", "\x1a41;"]
        with encoded(postgres_url, encoding) as url, open_session(read_target(parse(url))) as session:
            session.execute("CREATE TABLE kept (words varchar)")
            for text in told:
                session.execute("INSERT INTO kept VALUES (%s::varchar)", [text])
            session.execute("INSERT INTO kept SELECT * FROM unnest(%b::varchar[])", [told])
            assert [row[0] for row in session.execute("SELECT words FROM kept").fetchall()] == told * 2


class TestConnectPostgres:
    def test_a_role_that_may_not_ask(self, postgres_database: str) -> None:
        """What the server refuses before the first transaction is what is said, each time."""
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute("REVOKE EXECUTE ON FUNCTION pg_catalog.version() FROM PUBLIC")
        engine = connect(f"{postgres_database}?options=-c%20role%3Dpg_monitor")
        for _ in range(2):
            with pytest.raises(ProgrammingError, match="permission denied for function version"):
                engine.connect()
        engine.dispose()

    @pytest.mark.parametrize(("encoding", "lines"), [("LATIN1", ["LATIN1"]), ("SQL_ASCII", [])])
    def test_says_that_text_is_escaped(self, postgres_url: str, encoding: str, lines: list[str]) -> None:
        """Once, by the name of the encoding, and only where there is something to escape."""
        with structlog.testing.capture_logs() as said, encoded(postgres_url, encoding) as url:
            engine = connect(url)
            with engine.begin(), engine.begin() as connection:
                connection.exec_driver_sql("SELECT 1")
            engine.dispose()
        assert [line["encoding"] for line in said] == lines
