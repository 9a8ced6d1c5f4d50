"""One transaction, and what is said of one that failed."""

from contextlib import nullcontext

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError

from receiver.errors import StoreUnavailable
from receiver.store.engine import connect
from receiver.store.transactions import Call, describe, transact

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
