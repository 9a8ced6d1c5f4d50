"""SQLite: one file, durable commits, one writer at a time."""

import errno
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext

from receiver.errors import ReceiverError, StoreUnavailable
from receiver.store.database_url import bad_url
from receiver.store.sqlite_file import DatabaseFile, LostLog, WatchedConnection
from receiver.store.sqlite_log import KEPT_BYTES, MOST_PAGES

_CHECKED_BYTES: Final = 32 * 1024 * 1024
"""Files up to this size are read whole at start, in a fraction of a second."""
_PATIENCE_S: Final = 0.5
_CACHE_KIB: Final = 16 * 1024
"""Cached pages, allocated as they are read: with millions of events, all of an index but its leaves."""
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM}
"""Errors that the system may not repeat tomorrow: not a wrong setting."""
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NO_LOCKS: Final = {
    sqlite3.SQLITE_IOERR_LOCK,
    sqlite3.SQLITE_IOERR_RDLOCK,
    sqlite3.SQLITE_IOERR_UNLOCK,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK,
    sqlite3.SQLITE_PROTOCOL,
}


def connect_sqlite(url: URL, busy_timeout_s: float) -> Engine:
    """Return an engine on the file that *url* names; its folder is created.

    Raises:
        ConfigError: there cannot be a database.
        StoreUnavailable: there is no room for one now, or the existing one is damaged.
    """
    if not url.database or url.database == ":memory:":
        raise bad_url("an in-memory database would lose events")
    _make_folder(Path(url.database).parent)
    _make_file(url.database)
    try:
        _try(url.database)
    except sqlite3.Error as error:
        raise _refusal(url.database, error) from error
    engine = create_engine(
        url.set(drivername="sqlite"),
        connect_args={"timeout": busy_timeout_s, "isolation_level": None, "factory": WatchedConnection},
    )
    file = DatabaseFile(url.database)
    event.listen(engine, "do_connect", lambda *_: file.check_path())
    event.listen(engine, "connect", lambda connection, _record: _prepare(connection, file))
    event.listen(engine, "begin", file.begin)
    event.listen(engine, "handle_error", lambda context: _judge(context, file.path))
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreUnavailable(f"cannot create {folder} ({error.strerror})") from error
        raise bad_url(f"cannot create {folder} ({error.strerror})") from error


def _make_file(path: str) -> None:
    """Create the file unreadable for other users, as it holds prompts. SQLite would let everyone read it."""
    with suppress(OSError):  # it exists, or SQLite will hit the same error
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640))


def _try(path: str) -> None:
    """Do what the work will do: write, under a lock and with a log next to the file."""
    try:
        with closing(sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA schema_version")
            if Path(path).stat().st_size <= _CHECKED_BYTES:
                for (found,) in connection.execute("PRAGMA quick_check(1)"):
                    if found != "ok":
                        raise _damaged(path, found)
            _use_log(connection)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if _primary(error) != sqlite3.SQLITE_BUSY:  # otherwise another process is writing or starting: fine
            raise
    if not Path(path).stat().st_mode & 0o222:
        raise bad_url(f"{path} is read-only: make it writable (chmod u+w)")


def _refusal(path: str, error: sqlite3.Error) -> ReceiverError:
    if _code(error) in _NO_LOCKS:
        return bad_url(
            f"the file system of {path} has no locks or no shared memory ({error}): use a local disk"
        )
    match _primary(error):
        case sqlite3.SQLITE_CORRUPT:
            return _damaged(path, str(error))
        case sqlite3.SQLITE_NOTADB:
            return bad_url(f"{path} is no SQLite database ({error}); if it was one, restore a backup")
        case sqlite3.SQLITE_CANTOPEN:
            return _cannot_open(path, error)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return bad_url(f"cannot write {path} ({error})")
    return StoreUnavailable(f"cannot use {path} ({error})")


def _cannot_open(path: str, error: sqlite3.Error) -> ReceiverError:
    """Ask the operating system for the reason, because SQLite does not give it."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o640))
    except OSError as reason:
        why = f"cannot open {path} ({reason.strerror})"
        return StoreUnavailable(why) if reason.errno in _NO_ROOM else bad_url(why)
    return bad_url(f"cannot open {path} or write beside it ({error})")


def _prepare(connection: WatchedConnection, file: DatabaseFile) -> None:
    _use_log(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    connection.execute(f"PRAGMA journal_size_limit={KEPT_BYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint={MOST_PAGES}")
    file.opened(connection)


def _use_log(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
        # An existing database keeps its mode until somebody runs VACUUM, and this would write to it.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise bad_url(
            f"the file system cannot hold a write-ahead log (journal_mode={mode}): use a local disk"
        )


def _judge(context: ExceptionContext, path: str) -> None:
    """Drop a connection whose log is gone, and say what to do about a damaged file."""
    error = context.original_exception
    if isinstance(error, LostLog):
        context.is_disconnect = True
    elif isinstance(error, sqlite3.Error) and _primary(error) in _DAMAGED:
        raise _damaged(path, str(error))


def _damaged(path: str, why: str) -> StoreUnavailable:
    said = " ".join(why.split())
    return StoreUnavailable(
        f"{path} is damaged ({said}): stop every process, keep the file and its -wal, and restore a backup or"
        f' save what can be read with: sqlite3 {path} ".recover" | sqlite3 recovered.db'
    )


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) or 0


def _primary(error: sqlite3.Error) -> int:
    return _code(error) & 0xFF
