"""SQLite's write-ahead log: copied into the database alongside the commits, and kept short.

A commit that finds the log long would copy it itself, and everyone waiting for the next commit would wait for
that: for pages all over the file, and a sync. So a thread copies and syncs most of it, and leaves only the
newest pages to a commit. Nothing becomes durable any later: a commit is on disk once it is in the log.

The log is rewritten from its start once all of it is in the database and nobody reads an older state. It
grows while somebody keeps a transaction open for long, in `sqlite3` or a backup. We log that, with the names
of the processes that have the file open, and cut the log once it is over.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from receiver import forks
from receiver.telemetry.logger import Logger

LONG_BYTES: Final = 64 * 1024 * 1024
"""Far more than it grows to, unless a transaction stays open."""
KEPT_BYTES: Final = 16 * 1024 * 1024
"""More than gathers between two copies: overwriting needs no sync of the file system's journal."""
MOST_PAGES: Final = 4_000
"""With more in the log, a commit copies it itself, unless the thread is copying."""
MANY_PAGES: Final = 2_000
"""Copied alongside the commits. Fewer would mean more syncs, as some pages change with every commit."""
_FEW_PAGES: Final = 200
"""What a commit may copy itself in a millisecond or two."""
_PASSES: Final = 5
_PAUSE_S: Final = 0.25
"""The pause before trying again, while somebody reads an older state or is copying."""
_RETRY_S: Final = 2.0
_QUIET_S: Final = 10.0
"""How long a fork waits until nobody is copying."""

Identity = tuple[int, int]
Beside = tuple[Identity | None, ...]
"""The identities of the log and the shared memory, if they exist."""

log = Logger()


class WriteAheadLog(forks.Forkable):
    """The log of one database, and the thread that copies it, one at a time."""

    def __init__(
        self, database: str, check: Callable[[], None], beside: Callable[[], Beside], sync: Callable[[], None]
    ) -> None:
        """Copy nothing yet.

        Args:
            database: the file's path.
            check: raises unless the path still names the same file.
            beside: returns the files next to it now.
            sync: flushes the file to disk.
        """
        self._database = Path(database)
        self._path = Path(f"{os.path.realpath(database)}-wal")
        self._check = check
        self._beside = beside
        self._sync = sync
        self._running = threading.Lock()
        # A fork holds this lock while it closes a connection, and closing takes it too.
        self._copying = threading.RLock()
        """Held as long as the thread has the database open."""
        self._is_quiet = False
        self.is_nearly_copied = False
        """Whether the next commit should copy the rest."""
        self._not_before = 0.0
        self._told_bytes = 0
        forks.watch(self)

    def committed(
        self, connection: sqlite3.Connection, beside: Beside, *, uncopied: int, size_bytes: int
    ) -> None:
        """Start copying or cutting the log if it is time. Never fails: it runs after commits of *connection*.

        Call it if the log `is_nearly_copied`, or reaches `MANY_PAGES` or `LONG_BYTES`.

        Args:
            connection: the one that has committed.
            beside: the files that it writes.
            uncopied: pages in the log that are not in the database yet.
            size_bytes: the size of the log file.
        """
        if self.is_nearly_copied:
            self.is_nearly_copied = False
            with suppress(sqlite3.Error):
                # No other commit of this process is under way. Once all is copied, the log starts over.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").close()
        elif size_bytes > LONG_BYTES:
            self._begin(self._cut_in_time)
        elif uncopied > MANY_PAGES and time.monotonic() > self._not_before:
            self._begin(lambda: self._copy(beside))

    @contextmanager
    def without_checkpoints(self) -> Iterator[None]:
        """Keep everyone from copying within the block, unless the disk hangs."""
        is_quiet = self._copying.acquire(timeout=_QUIET_S)
        try:
            yield
        finally:
            if is_quiet:
                self._copying.release()

    def before_fork(self) -> None:
        """Wait until the thread has closed the file."""
        self._is_quiet = self._copying.acquire(timeout=_QUIET_S)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._is_quiet:
            self._copying.release()

    def after_fork(self) -> None:
        """Leave the thread to the parent."""
        self._running, self._copying = threading.Lock(), threading.RLock()

    def _begin(self, work: Callable[[], None]) -> None:
        """Run *work* in a thread, unless one is running."""
        if self._running.acquire(blocking=False):
            try:
                threading.Thread(target=self._run, args=(work,), name="write-ahead log", daemon=True).start()
            except RuntimeError:  # no threads left, or the interpreter is exiting
                self._running.release()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (sqlite3.Error, OSError):
            self._not_before = time.monotonic() + _RETRY_S  # then a commit tries again
        finally:
            self._running.release()

    def _copy(self, beside: Beside) -> None:
        """Copy all but a few pages, unless somebody reads an older state."""
        with self._open() as connection:
            connection.execute("PRAGMA schema_version").close()  # opens the log
            if self._beside() != beside:
                return  # commits go to another log
            busy = pages = copied = 0
            for _ in range(_PASSES):
                before = copied
                busy, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                # SQLite skips that if something was committed meanwhile.
                self._sync()
                if copied - before <= _FEW_PAGES:
                    break
        if busy or pages - copied > _FEW_PAGES:
            self._not_before = time.monotonic() + _PAUSE_S
        else:
            self.is_nearly_copied = True

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._copying:
            self._check()
            with closing(sqlite3.connect(self._database, timeout=0, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                yield connection

    def _cut_in_time(self) -> None:
        pause = threading.Event()
        while not self._cut():
            pause.wait(_RETRY_S)

    def _cut(self) -> bool:
        """Whether the log is short again; log who prevents cutting it, each time it doubles."""
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
        """Copy the log into the database and cut it; return whether somebody is in the way."""
        with self._open() as connection:
            # Most is copied alongside the writers, but cutting makes them wait.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])


def holders(database: Path) -> list[str]:
    """Return the pid and name of each other process that has *database* open, as far as the system tells."""
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
