"""Copies of a SQLite database, where something is in the way."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from receiver.errors import ConfigError, StoreUnavailable
from receiver.store.sqlite_backup import _new, back_up, restore
from tests.stored import migrated


@pytest.fixture
def database(tmp_path: Path) -> Path:
    migrated(tmp_path / "receiver.db")
    return tmp_path / "receiver.db"


@contextmanager
def no_room() -> Iterator[None]:
    """Let no file of this process grow, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestBackUp:
    def test_of_a_database_that_gives_no_space_back(self, database: Path, tmp_path: Path) -> None:
        """One that an early release made is as it was; its copy can give space back."""
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("PRAGMA auto_vacuum=NONE")
            connection.execute("VACUUM")
        back_up(database, tmp_path / "copy.db")
        found = {}
        for path in (database, tmp_path / "copy.db"):
            with closing(sqlite3.connect(path)) as connection:
                found[path.name] = connection.execute("PRAGMA auto_vacuum").fetchone()[0]
        assert found == {"receiver.db": 0, "copy.db": 2}


class TestRestore:
    def test_no_backup(self, tmp_path: Path) -> None:
        """Nothing is made of nothing."""
        with pytest.raises(ConfigError, match="there is no"):
            restore(tmp_path / "nowhere", tmp_path / "receiver.db")
        assert names(tmp_path) == []

    def test_no_room(self, database: Path, tmp_path: Path) -> None:
        """What the system said is passed on, and no half of a database is left."""
        with no_room(), pytest.raises(StoreUnavailable, match=r"cannot write .*new\.db .*too large"):
            restore(database, tmp_path / "new.db")
        assert names(tmp_path) == ["receiver.db"]


class TestNew:
    def test_a_file_that_comes_meanwhile(self, tmp_path: Path) -> None:
        """It is somebody else's, and stays as it is."""
        path = tmp_path / "copy.db"

        def write() -> None:
            with _new(path) as copy:
                copy.write_bytes(b"ours")
                path.write_bytes(b"precious")

        with pytest.raises(ConfigError, match="will not be overwritten"):
            write()
        assert (names(tmp_path), path.read_bytes()) == (["copy.db"], b"precious")
