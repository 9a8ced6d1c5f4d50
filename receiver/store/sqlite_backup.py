"""Copies of a SQLite database: made while it is written to, verified, and restored."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from receiver.errors import ConfigError, StoreUnavailable
from receiver.store.migrations import revisions
from receiver.store.sqlite_log import holders

_BESIDE: Final = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that was verified."""

    path: Path
    size_bytes: int
    revision: str
    events: int


def back_up(database: Path, to: Path) -> Copy:
    """Copy the present state of *database* to a new file, without blocking writers.

    Raises:
        ConfigError: the database or the folder for the copy is missing, or the file already exists.
        StoreUnavailable: it cannot be read or written, or the copy is damaged.
    """
    if not database.is_file():
        raise ConfigError(f"there is no {database} to back up", "database_url")
    if not to.parent.is_dir():
        raise ConfigError(f"there is no folder {to.parent} to write {to.name} to")
    what = f"copy {database} to {to}"
    with _new(to) as copy, _explained(what), closing(sqlite3.connect(database)) as connection:
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 0:
            connection.execute(
                "PRAGMA auto_vacuum=INCREMENTAL"
            )  # of the copy, so that it can return free space
        # Not page by page, which starts over whenever somebody writes.
        connection.execute("VACUUM INTO ?", (str(copy),))
        done = verify(copy)
    return Copy(to, done.size_bytes, done.revision, done.events)


def restore(backup: Path, database: Path) -> Copy:
    """Restore a copy of *backup* as *database*.

    Raises:
        ConfigError: there is a database already, a process still has one open there, or *backup* is not one
            of ours.
        StoreUnavailable: it cannot be read or written, or is damaged.
    """
    if not backup.is_file():
        raise ConfigError(f"there is no {backup}")
    for path in (database, *(Path(f"{database}{suffix}") for suffix in _BESIDE)):
        if path.exists():
            raise ConfigError(f"{path} exists: stop every process, and move it and its -wal and -shm away")
    # How the system describes an open file whose name is gone.
    if found := holders(Path(f"{os.path.realpath(database)} (deleted)")):
        raise ConfigError(f"{database} was removed and is still open: stop {', '.join(found)} first")
    verify(backup)
    database.parent.mkdir(parents=True, exist_ok=True)
    with _new(database) as copy:
        shutil.copyfile(backup, copy)
        done = verify(copy)
    return Copy(database, done.size_bytes, done.revision, done.events)


def verify(path: Path) -> Copy:
    """Verify a copy by reading all of it.

    Raises:
        ConfigError: it is not a database of ours, or belongs to a newer release.
        StoreUnavailable: it is damaged, or cannot be read.
    """
    # Immutable: creates no files next to it, and a copy that lacks its log does not pass as whole.
    source = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with _explained(f"use {path}"), closing(sqlite3.connect(source, uri=True)) as connection:
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreUnavailable(f"{path} is damaged ({' '.join(found.split())})")
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            raise ConfigError(f"{path} is not a database of the receiver")
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        if revision not in revisions():
            raise ConfigError(f"{path} is from a newer release (revision {revision})")
        events = connection.execute("SELECT count(*) FROM event").fetchone()[0]
    return Copy(path, path.stat().st_size, revision, events)


@contextmanager
def _new(path: Path) -> Iterator[Path]:
    """Yield a file that becomes *path* at the end of the block, synced, unless that exists by then."""
    if path.exists():
        raise ConfigError(f"{path} exists, and will not be overwritten")
    copy = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield copy
        copy.chmod(0o600)
        _sync(copy)
        os.link(copy, path)
        _sync(path.parent)
    except FileExistsError:
        raise ConfigError(f"{path} exists, and will not be overwritten") from None
    except OSError as error:
        raise StoreUnavailable(f"cannot write {path} ({error.strerror})") from error
    finally:
        with suppress(OSError):
            copy.unlink(missing_ok=True)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(f"cannot {what} ({error})") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
