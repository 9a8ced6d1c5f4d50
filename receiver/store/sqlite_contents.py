"""Whether somebody else wrote the file under an open SQLite connection, as `cp` over it does.

With a write-ahead log SQLite writes the file itself only while it copies the log there, and notes how far it
means to get, and how far it got, in the shared memory. So what changed without such a note was changed by
somebody else. Both are read through the descriptors that SQLite has open: closing one of our own would drop
every lock that this process has on the file.

Sources: https://sqlite.org/walformat.html, https://sqlite.org/howtocorrupt.html (2.2).
"""

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

_OPEN: Final = Path("/proc/self/fd")
_HEADER_BYTES: Final = 100
_INDEX_BYTES: Final = 136
_COPYING: Final = struct.Struct("=16xI12x8s56xI28xI")
"""Of the index: the pages in the log, the salts, and the two that follow in `Copying`."""


class Copying(NamedTuple):
    """How far the log was copied into the file."""

    salts: bytes
    copied: int
    wanted: int


class Contents:
    """What was last seen of the file at *path* and of its shared memory; nothing where no `/proc` is."""

    def __init__(self, path: str, shared: str) -> None:
        self._file = Held(path)
        self._shared = Held(shared)
        self.uncopied = 0
        """Pages that were in the log when `copying` looked, and not in the file."""
        self._changed_ns: int | None = None
        self._seen: tuple[bytes, Copying] | None = None

    def forget(self) -> None:
        """Take the file as it is from now on: nobody may have had it open for a while."""
        self._changed_ns = self._seen = None

    def copying(self) -> Copying | None:
        """Tell how far the log is copied, some microseconds' work; ask before the file's time."""
        index = self._shared.read(_INDEX_BYTES)
        if len(index) < _INDEX_BYTES:
            return None
        pages, *copying = _COPYING.unpack_from(index)
        found = Copying._make(copying)
        self.uncopied = pages - found.copied
        return found

    def are_foreign(self, copying: Copying | None, changed_ns: int) -> bool:
        """Whether another than SQLite wrote to the file, which was last changed at *changed_ns*."""
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
    """The descriptor under which this process has *path* open."""

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
        """Bring what was written to the file to the disk, if this process has it open."""
        if self._find():
            os.fsync(self._descriptor)

    def _find(self) -> bool:
        wanted = os.stat(self._path)  # noqa: PTH116  see `receiver.store.sqlite_file`
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
