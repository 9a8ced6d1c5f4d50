"""The write-ahead log stays short, and who keeps it from that is named."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import Engine

from receiver.store import sqlite, sqlite_file, sqlite_log
from receiver.store.engine import connect
from receiver.store.sqlite_file import Held
from receiver.store.sqlite_log import holders
from tests.waiting.blocking import until

_HEADER_BYTES = 32
"""They have other salts each time the log begins anew (https://www.sqlite.org/fileformat2.html#walformat)."""
WITHIN_S = 60
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "receiver.db"


def header(database: Path) -> bytes:
    with Path(f"{database}-wal").open("rb") as log:
        return log.read(_HEADER_BYTES)


def fill(engine: Engine, commits: int, pages: int = 25) -> None:
    for _ in range(commits):
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(?))", (pages * 4096,))


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    """Connect to a database with a table, whose log no commit copies by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "MOST_PAGES", 0)
        engine = connect(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x)")
        yield engine
    engine.dispose()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that grows with each attempt to cut a log, by whether somebody was in the way."""
    checkpoint, tries = sqlite_log.WriteAheadLog._checkpoint, []

    def count(log: sqlite_log.WriteAheadLog) -> bool:
        tries.append(checkpoint(log))
        return tries[-1]

    monkeypatch.setattr(sqlite_log.WriteAheadLog, "_checkpoint", count)
    return tries


def at_work() -> bool:
    return any(each.name == "write-ahead log" for each in threading.enumerate())


@contextmanager
def copying(log: sqlite_log.WriteAheadLog) -> Iterator[None]:
    """Keep the log as a thread does that a hanging disk holds up."""
    begun, end = threading.Event(), threading.Event()

    def hang() -> None:
        with log._copying:
            begun.set()
            end.wait(WITHIN_S)

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(hang)
        assert begun.wait(WITHIN_S)
        yield
        end.set()
        running.result(WITHIN_S)


class TestWriteAheadLog:
    def test_copied_beside_the_commits(self, engine: Engine, path: Path) -> None:
        """A thread copies it and a commit what is left; so it begins anew, however much is written."""
        fill(engine, 120)
        first = header(path)
        deadline = time.monotonic() + WITHIN_S
        while header(path) == first:
            assert time.monotonic() < deadline
            fill(engine, 20)
        assert path.stat().st_size > 8_000_000

    def test_the_next_commit_copies_the_rest(self, engine: Engine, path: Path) -> None:
        """Also where that is little: only then does the log begin anew."""
        fill(engine, 1)
        with engine.connect() as connection:
            held: Any = connection.connection.dbapi_connection
            held.file._log.is_nearly_copied = True
        first = header(path)
        fill(engine, 2)
        assert not held.file._log.is_nearly_copied
        assert header(path) != first

    def test_another_log_is_let_be(self, engine: Engine, path: Path) -> None:
        """What was put beside the database meanwhile is none of what was committed."""
        fill(engine, 2)
        size = path.stat().st_size
        log = sqlite_log.WriteAheadLog(
            str(path), lambda: None, lambda: ((1, 1), (2, 2)), Held(str(path)).sync
        )
        with closing(sqlite3.connect(path)) as shell:
            log.committed(shell, ((1, 1), (3, 3)), uncopied=10_000, size_bytes=0)
            until(lambda: not at_work())
            assert path.stat().st_size == size
            log.committed(shell, ((1, 1), (2, 2)), uncopied=10_000, size_bytes=0)
            until(lambda: path.stat().st_size > size)

    def test_no_pass_too_many(self, engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """However fast others commit, the thread ends; a commit copies the rest, and the log begins anew."""
        monkeypatch.setattr(sqlite_log, "_PASSES", 1)
        fill(engine, 1, pages=2 * sqlite_log._FEW_PAGES)
        synced = threading.Event()
        log = sqlite_log.WriteAheadLog(str(path), lambda: None, lambda: (), synced.set)
        with engine.connect() as connection:
            held: Any = connection.connection.dbapi_connection
            log.committed(held, (), uncopied=10_000, size_bytes=0)
            until(lambda: log.is_nearly_copied)
            assert synced.is_set(), "what was copied is on the disk"
            first = header(path)
            log.committed(held, (), uncopied=0, size_bytes=0)
            fill(engine, 1)
        assert not log.is_nearly_copied
        assert header(path) != first

    def test_an_older_state_is_read(self, engine: Engine, path: Path) -> None:
        """What is behind the reader stays in the log, and for a while nobody tries to copy it."""
        log = sqlite_log.WriteAheadLog(str(path), lambda: None, lambda: (), Held(str(path)).sync)
        with reader(path), engine.connect() as connection:
            fill(engine, 1, pages=2 * sqlite_log._FEW_PAGES)
            held: Any = connection.connection.dbapi_connection
            log.committed(held, (), uncopied=10_000, size_bytes=0)
            until(lambda: not at_work())
        assert log._not_before > 0
        assert not log.is_nearly_copied

    def test_closed_while_it_is_copied(self, engine: Engine, path: Path) -> None:
        """Whoever stops leaves the one file, complete."""
        for _ in range(5):
            fill(engine, 1, pages=8_000)
            engine.dispose()
            assert [*path.parent.iterdir()] == [path]

    def test_says_who_holds_it_and_cuts_it_after(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A long reader is named once; the log is cut when it has gone, though nobody writes any more."""
        for module in (sqlite_file, sqlite_log):
            monkeypatch.setattr(module, "LONG_BYTES", 1_000_000)
        monkeypatch.setattr(sqlite_log, "_RETRY_S", 0.02)
        tries = counted(monkeypatch)
        engine, written = connect(f"sqlite:///{path}"), Path(f"{path}-wal")
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x)")
        with structlog.testing.capture_logs() as lines:
            with reader(path) as pid:
                for _ in range(3):
                    with engine.begin() as connection:
                        connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(600000))")
                until(lambda: len(tries) > 2)
                assert written.stat().st_size > 1_000_000
                [line] = lines
                assert line["event"] == "write-ahead log grows: a transaction stays open"
                assert any(each.startswith(f"{pid} (python") for each in line["held_by"])
            until(lambda: written.stat().st_size == 0)
            until(lambda: lines[-1]["event"] == "write-ahead log truncated")
        engine.dispose()

    def test_a_disk_that_hangs_stops_nobody(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever closes or forks waits for a while, and goes on; the child's log is its own."""
        monkeypatch.setattr(sqlite_log, "_QUIET_S", 0.01)
        log = sqlite_log.WriteAheadLog(str(path), lambda: None, lambda: (), Held(str(path)).sync)
        with copying(log):
            with log.without_checkpoints():
                pass
            log.before_fork()
            log.after_fork_in_parent()
            log.before_fork()
            log.after_fork()
            with copying(log):
                pass
        log.before_fork()
        log.after_fork_in_parent()
        with copying(log):
            pass

    def test_no_thread_to_be_had(self, engine: Engine, path: Path) -> None:
        """No commit fails by it, and the next one asks again."""
        size = path.stat().st_size
        threading.stack_size(2**47 - 2**20)
        try:
            fill(engine, 1, pages=sqlite_log.MANY_PAGES + 1)
            fill(engine, 1)
        finally:
            threading.stack_size(0)
        assert path.stat().st_size == size
        fill(engine, 1)
        until(lambda: path.stat().st_size > size)

    def test_a_file_that_is_gone(self, path: Path) -> None:
        """There is nothing to cut; for a while nobody tries to copy it either."""
        log = sqlite_log.WriteAheadLog(str(path), lambda: None, lambda: (), Held(str(path)).sync)
        with closing(sqlite3.connect(":memory:")) as connection:
            log.committed(connection, (), uncopied=0, size_bytes=sqlite_log.LONG_BYTES + 1)
            until(lambda: log._not_before > time.monotonic())
            log.committed(connection, (), uncopied=10_000, size_bytes=0)
        assert not path.exists()


class TestHolders:
    def test_others_only(self, path: Path) -> None:
        """Our own process is not among them, and nobody is who has closed it."""
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE t (x)")
            with reader(path) as pid:
                assert [each.partition(" ")[0] for each in holders(path)] == [str(pid)]
            assert holders(path) == []
