"""The file under an open SQLite connection: whether its path still names it, and whether it is intact.

After a file was moved, removed or replaced, a restart would not find what is committed to it. So every commit
is followed by a check, before anybody is told of it.

The same check detects writes by anyone else, as by `cp` over the file. With a write-ahead log SQLite itself
writes the file only while it copies the log into it. It records in the shared memory how far it intends to
copy, and how far it got. So a change without such a record was made by somebody else. Both are read through
the descriptors that SQLite has open: closing one of our own would drop every lock that this process has on
the file.

Sources: https://sqlite.org/walformat.html, https://sqlite.org/howtocorrupt.html (2.2).
"""

import os
import sqlite3
import stat
import struct
import time
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from receiver.errors import StoreUnavailable
from receiver.store.sqlite_log import LONG_BYTES, MANY_PAGES, Beside, Identity, WriteAheadLog
from receiver.telemetry.logger import Logger

LOOKS_ONLY: Final = "receiver_looks_only"
"""The execution option of transactions that only read, and so need not wait for writers."""
_WRITABLE: Final = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_OPEN: Final = Path("/proc/self/fd")
_HEADER_BYTES: Final = 100
_INDEX_BYTES: Final = 136
_COPYING: Final = struct.Struct("=16xI12x8s56xI28xI")
"""In the index: the pages in the log, the salts, and the two values that come next in `Copying`."""

log = Logger()


class LostFile(sqlite3.OperationalError):
    """The file is gone. The connection is kept, for the data that only it can still reach."""


class LostLog(sqlite3.OperationalError):
    """The write-ahead log is gone. The file has its contents by now; connect again."""


class DatabaseFile:
    """The file that all connections of one engine have open."""

    def __init__(self, path: str) -> None:
        self.path = path
        # SQLite follows links, and keeps its other files next to the target.
        real = os.path.realpath(path)
        self._beside = (f"{real}-wal", f"{real}-shm")
        self._identity: Identity | None = None
        self._saved = False
        self._contents = Contents(path, self._beside[1])
        self._is_overwritten = False
        self._log = WriteAheadLog(path, self.check_path, self._find_beside, Held(path).sync)

    def check_path(self) -> None:
        """Refuse to open a different file than before; nothing is created in its place.

        Raises:
            LostFile: the path names a different file than it did for earlier connections.
        """
        found = _identity(_stat(self.path))
        if self._identity is not None and found != self._identity:
            raise LostFile(self._lost(found))

    def opened(self, connection: "WatchedConnection") -> None:
        """Check after *connection* was opened; the first one determines which file it is."""
        self._identity = self._identity or _identity(_stat(self.path))
        self._contents.forget()
        connection.file, connection.beside = self, self._find_beside()

    def begin(self, connection: Connection) -> None:
        """Begin a transaction with the write lock: one that read first could lose an update.

        Raises:
            StoreUnavailable: as for `look`.
        """
        raw: Any = connection.connection.dbapi_connection
        try:
            self.look(raw)
        except LostFile as lost:
            raise StoreUnavailable(str(lost)) from lost
        is_look = connection.get_execution_options().get(LOOKS_ONLY)
        connection.exec_driver_sql("BEGIN" if is_look else "BEGIN IMMEDIATE")

    def look(self, connection: "WatchedConnection") -> None:
        """Refuse unless what is committed is in the files that a restart would find.

        Raises:
            LostFile: the file was moved, removed, replaced, overwritten or made read-only.
        """
        copying = self._contents.copying()
        found = _stat(self.path)
        if found is None or _identity(found) != self._identity:
            self._save(connection)
            raise LostFile(self._lost(_identity(found)))
        if not found.st_mode & _WRITABLE:
            raise LostFile(f"{self.path} was made read-only: make it writable again (chmod u+w)")
        if self._is_overwritten or self._contents.are_foreign(copying, found.st_mtime_ns):
            self._is_overwritten = True
            raise LostFile(
                f"{self.path} was overwritten while it was open: stop every process, put a complete database"
                " there without its -wal and -shm, and start again"
            )

    def look_beside(self, connection: "WatchedConnection") -> None:
        """Refuse unless a restart would find the log that was just written.

        Raises:
            LostLog: one of the two files next to the database was removed or replaced.
        """
        written, shared = map(_stat, self._beside)
        found = (_identity(written), _identity(shared))
        if written is None or connection.beside != found:
            with self._log.without_checkpoints():
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").close()
            raise LostLog(f"{self.path}-wal or -shm was removed or replaced; all it held is in {self.path}")
        uncopied, size_bytes = self._contents.uncopied, written.st_size
        if self._log.is_nearly_copied or uncopied > MANY_PAGES or size_bytes > LONG_BYTES:
            self._log.committed(connection, found, uncopied=uncopied, size_bytes=size_bytes)

    def without_checkpoints(self) -> AbstractContextManager[None]:
        """Keep everyone else in this process from copying the log within the block."""
        return self._log.without_checkpoints()

    def _find_beside(self) -> Beside:
        return tuple(_identity(_stat(path)) for path in self._beside)

    def _lost(self, found: Identity | None) -> str:
        what = "removed or moved away" if found is None else "replaced by another file"
        return (
            f"{self.path} was {what} while it was open: put it back, or stop every process,"
            " put a database there without its -wal and -shm, and start again"
        )

    def _save(self, connection: "WatchedConnection") -> None:
        """Complete the open file, and save a copy if no path leads to it any more."""
        if self._saved:
            return
        self._saved = True
        with suppress(sqlite3.Error), self._log.without_checkpoints():
            # Otherwise a new database at this path would get the rest of this one's log.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        if self._has_a_name():
            return
        copy = f"{self.path}.removed-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"
        try:
            with closing(sqlite3.connect(copy)) as kept:
                connection.backup(kept)
        except sqlite3.Error as error:
            log.error("removed database not saved", path=copy, error=str(error))  # noqa: TRY400
        else:
            log.warning("removed database saved", path=copy)

    def _has_a_name(self) -> bool:
        """Whether the open file still has a name; True if the system does not say."""
        with suppress(OSError):
            for each in Path("/proc/self/fd").iterdir():
                with suppress(OSError):
                    held = each.stat()
                    if (held.st_dev, held.st_ino) == self._identity:
                        return held.st_nlink > 0
        return True


class WatchedConnection(sqlite3.Connection):
    """A connection whose commits count only if its file is still in place."""

    file: DatabaseFile | None = None
    beside: Beside = ()

    def commit(self) -> None:
        """Commit, then check that the file is still in place."""
        super().commit()
        assert self.file is not None  # nobody uses a connection before it is prepared
        self.file.look(self)
        self.file.look_beside(self)

    def close(self) -> None:
        """Close. The last connection completes the file, unless another process has it open."""
        with self.file.without_checkpoints() if self.file is not None else nullcontext():
            super().close()


class Copying(NamedTuple):
    """How far the log has been copied into the file."""

    salts: bytes
    copied: int
    wanted: int


class Contents:
    """The last known state of the file at *path* and its shared memory; empty without `/proc`."""

    def __init__(self, path: str, shared: str) -> None:
        self._file = Held(path)
        self._shared = Held(shared)
        self.uncopied = 0
        """Pages that were in the log but not in the file when `copying` looked."""
        self._changed_ns: int | None = None
        self._seen: tuple[bytes, Copying] | None = None

    def forget(self) -> None:
        """Accept the file as it is now: perhaps nobody had it open for a while."""
        self._changed_ns = self._seen = None

    def copying(self) -> Copying | None:
        """Return how far the log has been copied, which takes microseconds; ask before the file's time."""
        index = self._shared.read(_INDEX_BYTES)
        if len(index) < _INDEX_BYTES:
            return None
        pages, *copying = _COPYING.unpack_from(index)
        found = Copying._make(copying)
        self.uncopied = pages - found.copied
        return found

    def are_foreign(self, copying: Copying | None, changed_ns: int) -> bool:
        """Whether anyone but SQLite wrote to the file, last changed at *changed_ns*."""
        before = self._seen
        if changed_ns == self._changed_ns and (before is None or copying == before[1]):
            return False
        self._seen = self._look()
        if changed_ns == self._changed_ns or before is None or self._seen is None:
            self._changed_ns = changed_ns if self._seen else None
            return False
        self._changed_ns = changed_ns
        return self._seen[1] == before[1] and self._seen[0] != before[0]

    def _look(self) -> tuple[bytes, Copying] | None:
        """Return the file's header, and how far the log is copied; None while it is being copied."""
        before = self.copying()
        header = self._file.read(_HEADER_BYTES)
        if before is None or before != self.copying() or before.copied != before.wanted:
            return None
        return (header, before) if header else None


class Held:
    """The descriptor with which this process has *path* open."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def read(self, count: int) -> bytes:
        """Return the first bytes, or nothing."""
        with suppress(OSError):
            if self._find():
                return os.pread(self._descriptor, count, 0)
        return b""

    def sync(self) -> None:
        """Flush the file to disk, if this process has it open."""
        if self._find():
            os.fsync(self._descriptor)

    def _find(self) -> bool:
        wanted = os.stat(self._path)  # noqa: PTH116  see `_stat`
        if self._is(self._descriptor, wanted):
            return True
        with suppress(OSError):
            for each in _OPEN.iterdir():
                if self._is(int(each.name), wanted):
                    self._descriptor = int(each.name)
                    return True
        return False

    def _is(self, descriptor: int, wanted: os.stat_result) -> bool:
        if descriptor < 0:
            return False
        with suppress(OSError):
            return os.path.samestat(os.fstat(descriptor), wanted)
        return False


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116  thrice as fast, and asked four times per transaction
    except OSError:
        return None


def _identity(found: os.stat_result | None) -> Identity | None:
    return (found.st_dev, found.st_ino) if found else None
