"""The write-ahead log stays short, and who keeps it from that is named."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import structlog.testing

from receiver.store import sqlite_file, sqlite_log
from receiver.store.engine import connect
from receiver.store.sqlite_log import holders

WITHIN_S = 10
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM t").fetchone()
print("reading", flush=True)
sys.stdin.read()
"""


@contextmanager
def reader(path: Path) -> Iterator[int]:
    """Keep a transaction open in a process of its own; offer its number."""
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"reading\n"
        yield process.pid


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "receiver.db"


class TestLogShrinker:
    def test_says_who_holds_it_and_cuts_it_after(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A long reader is named once; the log is cut when it has gone, though nobody writes any more."""
        monkeypatch.setattr(sqlite_file, "LONG_BYTES", 1_000_000)
        monkeypatch.setattr(sqlite_log, "_RETRY_S", 0.02)
        engine, written = connect(f"sqlite:///{path}"), Path(f"{path}-wal")
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x)")
        with structlog.testing.capture_logs() as lines:
            with reader(path) as pid:
                for _ in range(3):
                    with engine.begin() as connection:
                        connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(600000))")
                until(lambda: lines)
                assert written.stat().st_size > 1_000_000
                [line] = lines
                assert line["event"] == "write-ahead log grows: a transaction stays open"
                assert any(each.startswith(f"{pid} (python") for each in line["held_by"])
            until(lambda: written.stat().st_size == 0)
            until(lambda: lines[-1]["event"] == "write-ahead log truncated")
        engine.dispose()

    def test_a_short_one_is_left_alone(self, path: Path) -> None:
        """SQLite itself copies it in time; what it leaves on the disk is bounded."""
        engine = connect(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x)")
        for _ in range(20):
            with engine.begin() as connection:
                connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(1000000))")
        assert Path(f"{path}-wal").stat().st_size < 3 * sqlite_log.KEPT_BYTES
        engine.dispose()


class TestHolders:
    def test_others_only(self, path: Path) -> None:
        """Our own process is not among them, and nobody is who has closed it."""
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE t (x)")
            with reader(path) as pid:
                assert [each.partition(" ")[0] for each in holders(path)] == [str(pid)]
            assert holders(path) == []
