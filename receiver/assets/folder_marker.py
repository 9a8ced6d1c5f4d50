"""Distinguishes a folder from the empty one below its mount, which appears once its disk is gone."""

import re
import secrets
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Final

from receiver.errors import BucketUnavailable

_NAME: Final = ".receiver-bucket"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_IDENTITY: Final = attrgetter("st_dev", "st_ino", "st_mtime_ns", "st_size")
"""Asked twice for each asset. To read the file would take eight system calls more."""


class Marker:
    """A file in the folder. It is created once, and without it nothing is done."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / _NAME
        self._known: str | None = None
        self._file: object = None
        """The identity of the file that held it."""

    @property
    def is_known(self) -> bool:
        """Whether this process has seen the marker."""
        return self._known is not None

    @property
    def is_missing(self) -> bool:
        """Whether the folder was never used, or is not the one that was; false if that is unknown."""
        try:
            self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False

    def require(self) -> None:
        """Refuse a folder without a marker, or with a different one from before.

        Raises:
            BucketUnavailable: the disk is missing.
            OSError: it cannot be read.
        """
        with suppress(OSError):
            if _IDENTITY(self._path.stat()) == self._file:
                return
        if self.is_missing:
            raise BucketUnavailable(
                f"{self._root} has lost its marker: is its disk mounted? "
                f"If the folder was emptied on purpose, run: touch {self._path}"
            )
        found = self.make()
        if found != self._known:
            raise BucketUnavailable(
                f"{self._root} is not the same folder as before: is its disk mounted? "
                "If it was replaced on purpose, restart the worker"
            )

    def make(self) -> str:
        """Return the marker's content; create the marker if there is none.

        Raises:
            OSError: the folder cannot be read or written.
        """
        file: object = None
        with suppress(FileNotFoundError):
            file = _IDENTITY(self._path.stat())
        found = folder_id(self._path)
        self._known = self._known or found
        self._file = file if found == self._known else None
        return found


def folder_id(path: Path) -> str:
    """Return the id in the file *path*; the first caller creates it.

    Raises:
        OSError: its folder cannot be read or written.
    """
    if found := _read(path):
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    made = secrets.token_hex(16)
    draft = path.with_name(f".{made}")
    try:
        draft.write_text(made)
        # Give *draft* its name, unless another process was faster with a valid one.
        with suppress(OSError):  # the name is taken, or the file system has no links
            path.hardlink_to(draft)
        if not _read(path):
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return _read(path) or made


def _read(path: Path) -> str | None:
    with suppress(FileNotFoundError):
        found = path.read_text("ascii", "replace")
        return found if _ID.fullmatch(found) else None
    return None
