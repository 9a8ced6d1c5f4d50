"""A file for libraries that read as much as a header asks for."""

import os
from typing import BinaryIO, Final

_MAX_READ_BYTES: Final = 256 * 1024
"""imagesize searches for JPEG markers byte by byte, tinytag for frames. A file that needs more gets no
result."""


class Bounded:
    """A file of which no more than `_MAX_READ_BYTES` can be read, in whatever pieces."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = _MAX_READ_BYTES

    def read(self, size: int = -1) -> bytes:
        """Read *size* bytes.

        Raises:
            OSError: that would be more than is left to read.
        """
        if not 0 <= size <= self._left:
            raise OSError("read too much of it")
        self._left -= size
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Seek to *offset*."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()
