"""How large an image is and how long a video lasts, as far as the file's own headers tell cheaply.

A courtesy to consumers and no gate: what cannot be told is None, and no file, however made, raises.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import imagesize  # type: ignore[import-untyped]

from receiver.assets.duration import mp4_duration_s, webm_duration_s

MAX_SIDE_PX: Final = 2**31 - 1
"""What the formats, and a column of the database, can hold."""

_MAX_READ_BYTES: Final = 256 * 1024
"""imagesize looks for JPEG markers byte by byte; beyond so many an image has no size."""
_NOT_FOUND: Final = (-1, -1)
_VP8: Final = b"VP8 "
_VP8_SIDE: Final = 0x3FFF

_DURATIONS: Final[Mapping[str, Callable[[BinaryIO, int], float | None]]] = {
    "video/mp4": mp4_duration_s,
    "video/webm": webm_duration_s,
}


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What a file says of itself."""

    width: int | None = None
    """Pixels of an image as it is to be shown, which its EXIF orientation may have turned."""
    height: int | None = None
    duration_s: float | None = None
    """Seconds of a video, to the millisecond."""


def measure(path: Path, content_type: str) -> Dimensions:
    """Read the headers of the file at *path*. Blocks on the disk; holds a few bytes.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            if content_type.startswith("image/"):
                return _image(file, content_type)
            size_bytes = os.fstat(file.fileno()).st_size
            return Dimensions(duration_s=_DURATIONS[content_type](file, size_bytes))
        except Exception:  # noqa: BLE001  a malformed file has no dimensions, whatever it made a parser raise
            return Dimensions()


def _image(file: BinaryIO, content_type: str) -> Dimensions:
    width, height = imagesize.get(_Bounded(file))
    if (width, height) == _NOT_FOUND:
        return Dimensions()
    # The library reads the 16 bits of two formats otherwise than they are meant.
    if content_type == "image/gif":
        width, height = width % 2**16, height % 2**16
    elif content_type == "image/webp" and _chunk(file) == _VP8:  # the two high bits ask for scaling
        width, height = width & _VP8_SIDE, height & _VP8_SIDE
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        return Dimensions()
    return Dimensions(width, height)


def _chunk(file: BinaryIO) -> bytes:
    file.seek(12)
    return file.read(4)


class _Bounded:
    """A file of which no more than `_MAX_READ_BYTES` can be read, in whatever pieces."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = _MAX_READ_BYTES

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._left:
            raise OSError("read too much of it")
        self._left -= size
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)
