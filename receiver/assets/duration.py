"""The duration of a video, if its container's first headers give it.

A container that does not say, or says nonsense, has no duration.

Sources: ISO/IEC 14496-12 (`moov/mvhd`, `moov/mvex/mehd`); RFC 9559 (`Segment/Info/Duration`).
"""

import struct
from math import isfinite
from typing import BinaryIO, Final

from receiver.assets.elements import CLUSTER, Element, boxes, content, elements, first, webm_segment

_MAX_DURATION_S: Final = 7 * 24 * 3600.0
_MVHD_BYTES: Final = 32
_MEHD_BYTES: Final = 12
_UNKNOWN: Final = {4: 0xFFFF_FFFF, 8: 0xFFFF_FFFF_FFFF_FFFF}

_INFO: Final = 0x1549A966
_TIMESTAMP_SCALE: Final = 0x2AD7B1
_DURATION: Final = 0x4489
_DEFAULT_SCALE_NS: Final = 1_000_000


def mp4_duration_s(file: BinaryIO, size_bytes: int) -> float | None:
    """Return the seconds in an MP4's movie header, or for fragments in the extension's header."""
    moov = first(boxes(file, 0, size_bytes), b"moov")
    mvhd = moov and first(boxes(file, moov.start, moov.end), b"mvhd")
    if not moov or not mvhd:
        return None
    header = content(file, mvhd, at_most=_MVHD_BYTES)
    width, times_at = (8, 20) if header[:1] == b"\x01" else (4, 12)
    if len(header) < times_at + 4 + width:
        return None
    timescale = int.from_bytes(header[times_at : times_at + 4], "big")
    units = int.from_bytes(header[times_at + 4 : times_at + 4 + width], "big")
    mvex = first(boxes(file, moov.start, moov.end), b"mvex")
    if mvex:  # the movie header covers only its own part, at most the first fragment
        units = _fragments_units(file, mvex)
    if timescale == 0 or units == _UNKNOWN[width]:
        return None
    return plausible(units / timescale)


def _fragments_units(file: BinaryIO, mvex: Element) -> int:
    mehd = first(boxes(file, mvex.start, mvex.end), b"mehd")
    header = content(file, mehd, at_most=_MEHD_BYTES) if mehd else b""
    return int.from_bytes(header[4:12] if header[:1] == b"\x01" else header[4:8], "big")


def webm_duration_s(file: BinaryIO, size_bytes: int) -> float | None:
    """Return the seconds in a WebM's segment information, if that precedes the first cluster."""
    segment = webm_segment(file, size_bytes)
    info = segment and first(elements(file, segment.start, segment.end), _INFO, before=CLUSTER)
    if not info:
        return None
    scale_ns, ticks = _DEFAULT_SCALE_NS, None
    for element in elements(file, info.start, info.end):
        if element.name == _TIMESTAMP_SCALE:
            scale_ns = int.from_bytes(content(file, element), "big")
        elif element.name == _DURATION:
            data = content(file, element)
            layout = {4: ">f", 8: ">d"}.get(len(data))
            ticks = struct.unpack(layout, data)[0] if layout else None
    return None if ticks is None else plausible(ticks * scale_ns / 1e9)


def plausible(seconds: float) -> float | None:
    """Return *seconds* to the millisecond, or None if the value is not plausible."""
    seconds = round(seconds, 3)
    return seconds if isfinite(seconds) and 0 < seconds <= _MAX_DURATION_S else None
