"""Distinguishes a folder from the empty one below its mount, which appears once its disk is gone."""

from contextlib import suppress
from pathlib import Path
from typing import Final

from receiver.assets.folder_id import folder_id
from receiver.errors import BucketUnavailable

_NAME: Final = ".receiver-bucket"


class Marker:
    """A file in the folder. It is created once, and without it nothing is done."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / _NAME
        self._known: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether this process has seen the marker."""
        return self._known is not None

    @property
    def is_missing(self) -> bool:
        """Whether the folder was never used, or is not the one that was; false if that is unknown."""
        try:
            return not self._path.exists()
        except OSError:
            return False

    def require(self) -> None:
        """Refuse a folder without a marker, or with a different one from before.

        Raises:
            BucketUnavailable: the disk is missing.
            OSError: it cannot be read.
        """
        with suppress(OSError):
            if self._path.read_text("ascii", "replace") == self._known:
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
        found = folder_id(self._path)
        self._known = self._known or found
        return found
