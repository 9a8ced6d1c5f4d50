"""The embedded database on ground that moves: its file lost, locked up, full or damaged."""

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import pytest
import structlog.testing
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from receiver.errors import ConfigError, StoreUnavailable
from receiver.store import Store
from receiver.store.engine import connect
from receiver.store.record import Recorded, RecordResult
from receiver.store.sqlite_file import LOOKS_ONLY, DatabaseFile
from receiver.store.transactions import transact
from tests.stored import an_event, migrated


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "receiver.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store(migrated(path))) as opened:
        yield opened


@pytest.fixture
def new_store(path: Path) -> Iterator[Store]:
    """Return one that has made its file itself."""
    with closing(Store(f"sqlite:///{path}")) as opened:
        opened.migrate()
        yield opened


def record(store: Store, generation_id: str) -> RecordResult:
    return asyncio.run(store.record(an_event(generation_id)))


def events(path: Path) -> int:
    """Count the events in a file, as a restart would find them."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM event").fetchone()[0])


def full(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def replace_connections(monkeypatch: pytest.MonkeyPatch, factory: type[sqlite3.Connection]) -> None:
    """Have SQLite behave as on a file system that no test has."""
    opened = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: opened(*args, factory=factory, **more))


def one(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


class TestBegin:
    def test_beside_another_process_that_writes(self, path: Path) -> None:
        """Whoever may write waits before it reads, or it would undo what the other wrote; a look does not."""
        engine = connect(migrated(path), busy_timeout_s=0)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert transact(engine.execution_options(**{LOOKS_ONLY: True}), one) == 1
            with pytest.raises(OperationalError, match="locked"):
                transact(engine, one)
            other.execute("ROLLBACK")
        engine.dispose()


class TestLostFile:
    def test_moved(self, store: Store, path: Path, tmp_path: Path) -> None:
        """What was acknowledged is whole in the moved file; nothing more is until it is back."""
        record(store, "gen_1")
        moved = path.rename(tmp_path / "moved.db")
        with pytest.raises(StoreUnavailable, match="removed or moved away"):
            record(store, "gen_2")
        with pytest.raises(StoreUnavailable, match="removed or moved away"):
            asyncio.run(store.check())
        assert Path(f"{path}-wal").stat().st_size == 0
        alone = Path(shutil.copy(moved, tmp_path / "alone.db"))
        assert events(alone) == 1
        moved.rename(path)
        assert isinstance(record(store, "gen_2"), Recorded)

    def test_removed(self, store: Store, path: Path, tmp_path: Path) -> None:
        """What was acknowledged is saved beside it, once."""
        record(store, "gen_1")
        path.unlink()
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="removed or moved away"):
                record(store, "gen_2")
        [saved] = tmp_path.glob("receiver.db.removed-*")
        assert events(saved) == 1
        assert not path.exists()

    def test_replaced(self, store: Store, path: Path, tmp_path: Path) -> None:
        """A file put in its place is not written to by a process that has another open."""
        record(store, "gen_1")
        other = tmp_path / "other.db"
        migrated(other)
        other.rename(path)
        with pytest.raises(StoreUnavailable, match="replaced by another file"):
            record(store, "gen_2")
        store.close()
        assert events(path) == 0
        [saved] = tmp_path.glob("receiver.db.removed-*")
        assert events(saved) == 1

    def test_overwritten(self, store: Store, path: Path, tmp_path: Path) -> None:
        """A backup that is copied over the open file is no place to go on; nothing is acknowledged."""
        record(store, "gen_1")
        with closing(sqlite3.connect(path)) as shell:
            shell.execute(f"VACUUM INTO '{tmp_path}/backup.db'")
        for number in range(3):
            record(store, f"gen_later_{number}")
        shutil.copy(tmp_path / "backup.db", path)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="was overwritten while it was open"):
                record(store, "gen_2")
        with pytest.raises(StoreUnavailable, match="was overwritten while it was open"):
            asyncio.run(store.check())

    def test_written_by_sqlite_alone(self, store: Store, path: Path) -> None:
        """Copying the log into the file, by whomever, a shell's VACUUM, and `touch` are no such thing."""
        for number, mode in enumerate(["PASSIVE", "TRUNCATE", "RESTART", "FULL"] * 2):
            for each in range(3):
                assert isinstance(record(store, f"gen_{number}_{each}"), Recorded)
            with closing(sqlite3.connect(path)) as shell:
                shell.execute(f"PRAGMA wal_checkpoint({mode})")
            assert isinstance(record(store, f"gen_{number}"), Recorded)
            path.touch()
        with closing(sqlite3.connect(path, isolation_level=None)) as shell:
            shell.execute("DELETE FROM event")
            shell.execute("VACUUM")
            shell.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert isinstance(record(store, "gen_after"), Recorded)

    def test_lost_while_it_commits(self, store: Store, path: Path) -> None:
        """A file that goes between the write and its commit is no place to have acknowledged from."""
        asyncio.run(store.check())

        def move(_: object) -> None:
            path.rename(f"{path}.moved")

        with pytest.raises(StoreUnavailable, match="removed or moved away"):
            asyncio.run(store.transact(move))

    def test_replaced_while_nobody_has_it_open(self, store: Store, path: Path, tmp_path: Path) -> None:
        """A file that is put there between two connections is not written to either."""
        record(store, "gen_1")
        store.engine.dispose()
        shutil.copy(path, tmp_path / "copy.db")
        path.rename(tmp_path / "moved.db")
        (tmp_path / "copy.db").rename(path)
        with pytest.raises(StoreUnavailable, match="replaced by another file"):
            record(store, "gen_2")
        assert [events(each) for each in (path, tmp_path / "moved.db")] == [1, 1]

    def test_removed_with_its_folder(self, path: Path, tmp_path: Path) -> None:
        """Where there is no place for a copy it is said, and nothing is acknowledged."""
        with closing(Store(f"sqlite:///{tmp_path}/deep/receiver.db")) as store:
            store.migrate()
            record(store, "gen_1")
            shutil.rmtree(tmp_path / "deep")
            gone = pytest.raises(StoreUnavailable, match="removed or moved away")
            with structlog.testing.capture_logs() as lines, gone:
                record(store, "gen_2")
        assert [line["event"] for line in lines] == ["removed database not saved"]

    def test_read_only(self, store: Store, path: Path) -> None:
        """Whoever takes the right to write is obeyed, though the open file could still be written."""
        path.chmod(0o444)
        with pytest.raises(StoreUnavailable, match="was made read-only"):
            record(store, "gen_1")
        path.chmod(0o644)
        assert isinstance(record(store, "gen_1"), Recorded)

    @pytest.mark.parametrize("name", ["wal", "shm"])
    def test_a_file_beside_it_removed(self, store: Store, path: Path, name: str) -> None:
        """All that was acknowledged is in the database then, and it goes on with new files."""
        record(store, "gen_1")
        Path(f"{path}-{name}").unlink()
        with pytest.raises(StoreUnavailable, match="-wal or -shm was removed"):
            record(store, "gen_2")
        assert isinstance(record(store, "gen_3"), Recorded)
        assert events(path) == 3

    @pytest.mark.parametrize("name", ["wal", "shm"])
    def test_a_file_beside_it_removed_before_the_first_commit(
        self, store: Store, path: Path, name: str
    ) -> None:
        """So it is from the moment that a connection has them open."""
        with store.engine.connect():
            assert events(path) == 0
        Path(f"{path}-{name}").unlink()
        with pytest.raises(StoreUnavailable, match="-wal or -shm was removed"):
            record(store, "gen_1")
        assert isinstance(record(store, "gen_2"), Recorded)
        assert events(path) == 2

    def test_through_a_link(self, path: Path, tmp_path: Path) -> None:
        """A link is followed, and one that leads elsewhere by now is seen."""
        for name in ("a", "b"):
            migrated(tmp_path / f"{name}.db")
        path.symlink_to(tmp_path / "a.db")
        with closing(Store(f"sqlite:///{path}")) as linked:
            record(linked, "gen_1")
            path.unlink()
            path.symlink_to(tmp_path / "b.db")
            with pytest.raises(StoreUnavailable, match="replaced by another file"):
                record(linked, "gen_2")
        assert [events(tmp_path / f"{name}.db") for name in "ab"] == [1, 0]


class TestDatabaseFile:
    def test_where_nobody_tells_what_is_open(self, path: Path) -> None:
        """A file that is not seen to be gone is not copied."""
        path.touch()
        assert DatabaseFile(str(path))._has_a_name()


class TestDamage:
    def test_found_at_start(self, path: Path) -> None:
        """A damaged page refuses the start with the way out, and is no wrong setting."""
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE t (x)")
            connection.executemany("INSERT INTO t VALUES (?)", [("x" * 3000,)] * 50)
            connection.commit()
        content = bytearray(path.read_bytes())
        content[8192:12288] = b"\xff" * 4096
        path.write_bytes(content)
        with pytest.raises(StoreUnavailable, match=r"is damaged.*backup.*\.recover"):
            connect(f"sqlite:///{path}")

    def test_found_at_work(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What comes upon a damaged page says so, with the way out."""
        migrated(path)
        monkeypatch.setattr("receiver.store.sqlite._CHECKED_BYTES", 0)
        with closing(Store(f"sqlite:///{path}")) as store:
            content = bytearray(path.read_bytes())
            content[4096:] = b"\xff" * (len(content) - 4096)
            path.write_bytes(content)
            with pytest.raises(StoreUnavailable, match=r"is damaged.*backup.*\.recover"):
                record(store, "gen_1")

    def test_not_even_its_tables_can_be_read(self, path: Path) -> None:
        """The same is said of a file whose first page is damaged."""
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE t (x)")
        content = path.read_bytes()
        path.write_bytes(content[:100] + b"\xff" * 3996 + content[4096:])
        with pytest.raises(StoreUnavailable, match=r"is damaged.*backup.*\.recover"):
            connect(f"sqlite:///{path}")

    def test_no_database_at_all(self, path: Path) -> None:
        """Another file under that name is a wrong setting."""
        path.write_text("something else" * 100)
        with pytest.raises(ConfigError, match="no SQLite database"):
            connect(f"sqlite:///{path}")


class TestListen:
    def test_there_is_nobody_to_listen_to(self, store: Store) -> None:
        """No other machine writes to the file."""
        asyncio.run(store.listen())


class TestConnectSqlite:
    def test_waits_for_no_writer(self, path: Path, store: Store) -> None:
        """Whoever only connects writes nothing, and needs no turn."""
        with closing(sqlite3.connect(path)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            engine = connect(f"sqlite:///{path}", busy_timeout_s=0)
            engine.raw_connection().close()
            engine.dispose()

    def test_a_new_file_is_private(self, path: Path, new_store: Store) -> None:
        """Bodies hold prompts: other users of the machine read neither the file nor its log."""
        record(new_store, "gen_1")
        for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            assert file.stat().st_mode & 0o007 == 0

    def test_a_new_file_can_give_space_back(self, path: Path, new_store: Store) -> None:
        """It can without a VACUUM, which would keep everybody out."""
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)

    def test_no_room_for_the_folder(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A full disk is no wrong setting."""
        monkeypatch.setattr(Path, "mkdir", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            connect(f"sqlite:///{path}")

    def test_no_room_for_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither is one on which the file cannot be made."""
        monkeypatch.setattr(os, "open", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            connect(f"sqlite:///{tmp_path}")

    def test_read_only(self, path: Path) -> None:
        """A file that may not be written is refused by the name of the setting."""
        connect(f"sqlite:///{path}").dispose()
        path.chmod(0o444)
        with pytest.raises(ConfigError, match=r"RECEIVER_DATABASE_URL.*read-only"):
            connect(f"sqlite:///{path}")

    def test_busy(self, path: Path) -> None:
        """A file that somebody writes just now is one that can be used."""
        connect(f"sqlite:///{path}").dispose()
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            connect(f"sqlite:///{path}").dispose()

    def test_something_in_the_way_of_its_other_files(self, tmp_path: Path, subtests: pytest.Subtests) -> None:
        """What SQLite cannot put beside the file is no reason to go on without."""
        for name, refusal, why in (
            ("journal", ConfigError, "cannot open"),
            ("shm", ConfigError, "cannot write"),
            ("wal", StoreUnavailable, "cannot use"),
        ):
            with subtests.test(name=name):
                path = tmp_path / name / "receiver.db"
                Path(f"{path}-{name}").mkdir(parents=True)
                with pytest.raises(refusal, match=f"{why} {path}"):
                    connect(f"sqlite:///{path}")

    def test_no_locks(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file system without them, as over some networks, is a wrong place."""

        class WithoutLocks(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                if sql == "BEGIN IMMEDIATE":
                    error = sqlite3.OperationalError("disk I/O error")
                    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_LOCK
                    raise error
                return super().execute(sql, *parameters)

        replace_connections(monkeypatch, WithoutLocks)
        with pytest.raises(ConfigError, match=r"RECEIVER_DATABASE_URL.*has no locks.*local disk"):
            connect(f"sqlite:///{path}")

    def test_no_log(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where SQLite cannot keep a write-ahead log it would not do what we promise."""

        class WithoutLog(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                return super().execute(sql.replace("=WAL", "=DELETE"), *parameters)

        replace_connections(monkeypatch, WithoutLog)
        with pytest.raises(ConfigError, match="cannot hold a write-ahead log"):
            connect(f"sqlite:///{path}")
