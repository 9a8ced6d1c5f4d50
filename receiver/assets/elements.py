"""The elements of video containers.

Only headers are read, a few bytes each, at most `_MAX_ELEMENTS` in one place; everything else is skipped by
seeking. Files come from outside, so no length is trusted, and malformed data ends the search.

Sources: ISO/IEC 14496-12 (boxes), RFC 8794 (EBML).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

_MAX_ELEMENTS: Final = 256
_MAX_ID_BYTES: Final = 4
_MAX_SIZE_BYTES: Final = 8

TRACKS: Final = 0x1654AE6B
CLUSTER: Final = 0x1F43B675
_SEGMENT: Final = 0x18538067
_MAX_READ_BYTES: Final = 256 * 1024
"""imagesize searches for JPEG markers byte by byte, tinytag for frames. A file that needs more gets no
result."""


@dataclass(frozen=True, slots=True)
class Element:
    """A box of MP4, or an element of WebM."""

    name: bytes | int
    start: int
    """The start of its content."""
    end: int
    is_cut: bool = False
    """True if its content claims to extend beyond its parent."""


def first(
    found: Iterator[Element], name: bytes | int, *, before: bytes | int | None = None
) -> Element | None:
    """Return the first element called *name*, if it precedes one called *before*."""
    for element in found:
        if element.name == name:
            return element
        if element.name == before:
            return None
    return None


def boxes(file: BinaryIO, at: int, end: int) -> Iterator[Element]:
    """Yield the boxes of MP4 between *at* and *end*."""
    for _ in range(_MAX_ELEMENTS):
        file.seek(at)
        header = file.read(16)
        size, start = int.from_bytes(header[:4], "big"), at + 8
        if size == 1:  # the actual size follows the name
            size, start = int.from_bytes(header[8:16], "big"), at + 16
        elif size == 0:  # up to the end
            size = end - at
        if len(header) < start - at or start > at + size or at + size > end:
            return
        yield Element(header[4:8], start, at + size)
        at += size


def elements(file: BinaryIO, at: int, end: int) -> Iterator[Element]:
    """Yield the elements of WebM between *at* and *end*."""
    for _ in range(_MAX_ELEMENTS):
        file.seek(at)
        header = file.read(_MAX_ID_BYTES + _MAX_SIZE_BYTES)
        id_bytes = _width(header)
        size_bytes = _width(header[id_bytes:])
        start = at + id_bytes + size_bytes
        if id_bytes > _MAX_ID_BYTES or size_bytes > _MAX_SIZE_BYTES or start > min(at + len(header), end):
            return
        size = int.from_bytes(header[id_bytes : id_bytes + size_bytes], "big")
        size &= (1 << 7 * size_bytes) - 1
        is_open = size == (1 << 7 * size_bytes) - 1
        # An unknown size, or a truncated segment, extends to the end.
        stop = end if is_open else min(start + size, end)
        name = int.from_bytes(header[:id_bytes], "big")
        yield Element(name, start, stop, is_cut=not is_open and start + size > end)
        at = stop


def _width(header: bytes) -> int:
    """Return the width of the variable-size integer at the start of *header*; 9 for none."""
    return 9 - header[0].bit_length() if header else 9


def webm_segment(file: BinaryIO, size_bytes: int) -> Element | None:
    """Return the segment of a WebM, unless the file was cut before its tracks."""
    segment = first(elements(file, 0, size_bytes), _SEGMENT)
    if segment and segment.is_cut:
        tracks = first(elements(file, segment.start, segment.end), TRACKS, before=CLUSTER)
        return segment if tracks and not tracks.is_cut else None
    return segment


def content(file: BinaryIO, element: Element, *, at_most: int = 8) -> bytes:
    """Return the beginning of the content of *element*."""
    file.seek(element.start)
    return file.read(min(element.end - element.start, at_most))


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
