"""How long a video lasts, where its container says so in its first headers.

Only headers are read, each a few bytes, at most `_MAX_ELEMENTS` of them; what lies between is seeked over. A
container that does not say, or says nonsense, has no duration. Files come from outside: nothing here trusts a
length, and whatever is malformed ends the search.

Sources: ISO/IEC 14496-12 (`moov/mvhd`); RFC 9559 (`Segment/Info/Duration`), RFC 8794 (EBML).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import BinaryIO, Final

_MAX_ELEMENTS: Final = 256
_MAX_DURATION_S: Final = 7 * 24 * 3600.0
_MVHD_BYTES: Final = 32
_UNKNOWN: Final = {4: 0xFFFF_FFFF, 8: 0xFFFF_FFFF_FFFF_FFFF}

_SEGMENT: Final = 0x18538067
_INFO: Final = 0x1549A966
_CLUSTER: Final = 0x1F43B675
_TIMESTAMP_SCALE: Final = 0x2AD7B1
_DURATION: Final = 0x4489
_DEFAULT_SCALE_NS: Final = 1_000_000
_MAX_ID_BYTES: Final = 4
_MAX_SIZE_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class _Element:
    """A box of MP4, or an element of WebM."""

    name: bytes | int
    start: int
    """Where its content begins."""
    end: int


def mp4_duration_s(file: BinaryIO, size_bytes: int) -> float | None:
    """Return the seconds that an MP4's movie header tells."""
    moov = _first(_boxes(file, 0, size_bytes), b"moov")
    mvhd = moov and _first(_boxes(file, moov.start, moov.end), b"mvhd")
    if not mvhd:
        return None
    file.seek(mvhd.start)
    header = file.read(min(_MVHD_BYTES, mvhd.end - mvhd.start))
    width, times_at = (8, 20) if header[:1] == b"\x01" else (4, 12)
    if len(header) < times_at + 4 + width:
        return None
    timescale = int.from_bytes(header[times_at : times_at + 4], "big")
    units = int.from_bytes(header[times_at + 4 : times_at + 4 + width], "big")
    if timescale == 0 or units == _UNKNOWN[width]:
        return None
    return _plausible(units / timescale)


def webm_duration_s(file: BinaryIO, size_bytes: int) -> float | None:
    """Return the seconds that a WebM's segment information tells, if it stands before the first cluster."""
    segment = _first(_elements(file, 0, size_bytes), _SEGMENT)
    info = segment and _first(_elements(file, segment.start, segment.end), _INFO, before=_CLUSTER)
    if not info:
        return None
    scale_ns, ticks = _DEFAULT_SCALE_NS, None
    for element in _elements(file, info.start, info.end):
        if element.name == _TIMESTAMP_SCALE:
            scale_ns = int.from_bytes(_content(file, element), "big")
        elif element.name == _DURATION:
            ticks = _float(_content(file, element))
    return None if ticks is None else _plausible(ticks * scale_ns / 1e9)


def _plausible(seconds: float) -> float | None:
    return round(seconds, 3) if isfinite(seconds) and 0 < seconds <= _MAX_DURATION_S else None


def _first(
    elements: Iterator[_Element], name: bytes | int, *, before: bytes | int | None = None
) -> _Element | None:
    for element in elements:
        if element.name == name:
            return element
        if element.name == before:
            return None
    return None


def _boxes(file: BinaryIO, at: int, end: int) -> Iterator[_Element]:
    for _ in range(_MAX_ELEMENTS):
        file.seek(at)
        header = file.read(16)
        size, start = int.from_bytes(header[:4], "big"), at + 8
        if size == 1:  # the size proper follows the name
            size, start = int.from_bytes(header[8:16], "big"), at + 16
        elif size == 0:  # up to the end
            size = end - at
        if len(header) < start - at or start > at + size or at + size > end:
            return
        yield _Element(header[4:8], start, at + size)
        at += size


def _elements(file: BinaryIO, at: int, end: int) -> Iterator[_Element]:
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
        # A size that is not known yet, and a segment cut short, reach up to the end.
        stop = end if is_open else min(start + size, end)
        yield _Element(int.from_bytes(header[:id_bytes], "big"), start, stop)
        at = stop


def _width(header: bytes) -> int:
    """Return the width of the variable-size integer that *header* begins with; 9 for none."""
    return 9 - header[0].bit_length() if header else 9


def _content(file: BinaryIO, element: _Element) -> bytes:
    file.seek(element.start)
    return file.read(min(element.end - element.start, 8))


def _float(data: bytes) -> float | None:
    layout = {4: ">f", 8: ">d"}.get(len(data))
    return struct.unpack(layout, data)[0] if layout else None
