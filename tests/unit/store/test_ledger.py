"""The ledger on SQLite, where everybody wants the one write lock."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect

from receiver.errors import StoreUnavailable
from receiver.store.engine import connect
from receiver.store.ledger import StoreLedger
from receiver.submissions import Submission


def open_ledger(url: str, *, busy_timeout_s: float = 30.0) -> StoreLedger:
    engine = connect(url, busy_timeout_s=busy_timeout_s)
    return StoreLedger(engine, "photoverse")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "receiver.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[StoreLedger]:
    opened = open_ledger(f"sqlite:///{path}")
    opened.migrate()
    yield opened
    opened.close()


def a_submission(number: int) -> Submission:
    return Submission(f"order-{number}", "image", {"prompt": "p"}, "sending", sent_at=1_700_000_000.125)


class TestMigrate:
    def test_shared_database_is_left_alone(self, postgres_database: str) -> None:
        """A client never changes the schema of a shared database."""
        ledger = open_ledger(postgres_database)
        ledger.migrate()
        assert inspect(ledger._engine).get_table_names() == []
        ledger.close()

    def test_a_file_of_another_program(self, path: Path) -> None:
        """Its tables are left as they are; what the database said is passed on."""
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE event (what)")
            ledger = open_ledger(f"sqlite:///{path}")
            with pytest.raises(StoreUnavailable, match="table event already exists"):
                ledger.migrate()
            ledger.close()
            assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("event",)]

    def test_twice(self, ledger: StoreLedger) -> None:
        """Opening it again changes nothing."""
        ledger.begin(a_submission(1))
        ledger.migrate()
        assert ledger.get("order-1") == a_submission(1)


class TestBegin:
    def test_many_threads(self, path: Path, ledger: StoreLedger) -> None:
        """Threads that write at once queue here, not at the database, which would starve some of them."""
        impatient = open_ledger(f"sqlite:///{path}", busy_timeout_s=0)
        with ThreadPoolExecutor(32) as threads:
            found = list(threads.map(lambda number: impatient.begin(a_submission(number)), range(200)))
        assert found == [None] * 200
        assert len(ledger.list(limit=1_000)) == 200
        impatient.close()

    def test_waits_for_another_process(self, path: Path, ledger: StoreLedger) -> None:
        """A long transaction of somebody else makes it wait, not fail."""
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.3, other.execute, ["COMMIT"])
        release.start()
        assert ledger.begin(a_submission(1)) is None
        release.join()
        other.close()
