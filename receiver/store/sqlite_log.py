"""SQLite's write-ahead log, kept short.

It is written from its beginning again once all of it is in the database and nobody reads an older state. A
transaction that somebody keeps open for long, in `sqlite3` or a backup, lets it grow: that is said, with the
names of those who have the file open, and once it is over the log is cut.
"""

import os
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from receiver.telemetry.logger import Logger

LONG_BYTES: Final = 64 * 1024 * 1024
"""Sixteen times what SQLite lets gather before it copies into the database."""
KEPT_BYTES: Final = 4 * 1024 * 1024
_RETRY_S: Final = 2.0

log = Logger()


class LogShrinker:
    """Cuts one database's log, in a thread of its own, as long as it is too long."""

    def __init__(self, path: Path, database: Path) -> None:
        self._path = path
        self._database = database
        self._running = threading.Lock()
        self._told_bytes = 0

    def begin(self) -> None:
        """Begin to cut, unless that is under way. Never waits, and never fails: it runs after commits."""
        if self._running.acquire(blocking=False):
            try:
                threading.Thread(target=self._run, name="write-ahead log", daemon=True).start()
            except RuntimeError:  # no more threads, or the interpreter ends
                self._running.release()

    def _run(self) -> None:
        pause = threading.Event()
        try:
            database = _identity(self._database)
            while _identity(self._database) == database and not self._cut():
                pause.wait(_RETRY_S)
        except (sqlite3.Error, OSError):
            pass  # the next commit that finds it too long begins anew
        finally:
            self._running.release()

    def _cut(self) -> bool:
        """Whether the log is short again; say who keeps it from being cut, at each doubling."""
        size_bytes = self._path.stat().st_size
        busy = self._checkpoint()
        if not busy:
            log.info("write-ahead log truncated", path=str(self._path), size_bytes=size_bytes)
            self._told_bytes = 0
        elif size_bytes >= 2 * self._told_bytes:
            self._told_bytes = size_bytes
            log.warning(
                "write-ahead log grows: a transaction stays open",
                path=str(self._path),
                size_bytes=size_bytes,
                held_by=holders(self._database),
            )
        return not busy

    def _checkpoint(self) -> bool:
        """Copy the log into the database and cut it; whether somebody is in the way."""
        with closing(sqlite3.connect(self._database, timeout=0, isolation_level=None)) as connection:
            # Most of it is copied beside the writers; to cut it, they have to wait.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def holders(database: Path) -> list[str]:
    """Return number and name of each other process that has *database* open, as far as the system tells."""
    real = os.path.realpath(database)
    found = []
    with suppress(OSError):
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) != os.getpid() and _has_open(process, real):
                with suppress(OSError):
                    found.append(f"{process.name} ({(process / 'comm').read_text().strip()})")
    return sorted(found)


def _has_open(process: Path, real: str) -> bool:
    with suppress(OSError):
        for each in (process / "fd").iterdir():
            with suppress(OSError):
                if str(each.readlink()) == real:
                    return True
    return False
