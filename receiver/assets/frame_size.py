"""The displayed dimensions of a video, from its container's headers: with pixel aspect ratio and rotation.

Sources: ISO/IEC 14496-12 (`moov/trak/tkhd`, `mdia/hdlr`); RFC 9559 (`Segment/Tracks/TrackEntry/Video`).
"""

import struct
from typing import BinaryIO, Final

from receiver.assets.elements import CLUSTER, TRACKS, Element, boxes, content, elements, first, webm_segment

Size = tuple[int, int]

_TKHD_BYTES: Final = 96
_MATRIX_AT: Final = {0: 40, 1: 52}
"""Offsets by version of the track header; width and height follow its nine numbers."""
_HDLR_BYTES: Final = 12
_FIXED: Final = 2**16

_TRACK_ENTRY: Final = 0xAE
_VIDEO: Final = 0xE0
_PIXEL_WIDTH: Final = 0xB0
_PIXEL_HEIGHT: Final = 0xBA
_DISPLAY_WIDTH: Final = 0x54B0
_DISPLAY_HEIGHT: Final = 0x54BA
_DISPLAY_UNIT: Final = 0x54B2


def mp4_frame_size(file: BinaryIO, size_bytes: int) -> Size | None:
    """Return the displayed width and height of the first video track."""
    moov = first(boxes(file, 0, size_bytes), b"moov")
    if not moov:
        return None
    tracks = (box for box in boxes(file, moov.start, moov.end) if box.name == b"trak")
    sizes = (_track_size(file, track) for track in tracks if _has_pictures(file, track))
    return next(filter(None, sizes), None)


def webm_frame_size(file: BinaryIO, size_bytes: int) -> Size | None:
    """Return the displayed width and height of the first video track."""
    segment = webm_segment(file, size_bytes)
    tracks = segment and first(elements(file, segment.start, segment.end), TRACKS, before=CLUSTER)
    if not tracks:
        return None
    for entry in elements(file, tracks.start, tracks.end):
        video = first(elements(file, entry.start, entry.end), _VIDEO) if entry.name == _TRACK_ENTRY else None
        if video:
            told = {each.name: content(file, each) for each in elements(file, video.start, video.end)}
            return _webm_size({name: int.from_bytes(value, "big") for name, value in told.items()})
    return None


def _webm_size(told: dict[bytes | int, int]) -> Size:
    width, height = told.get(_PIXEL_WIDTH, 0), told.get(_PIXEL_HEIGHT, 0)
    shown = told.get(_DISPLAY_WIDTH, width), told.get(_DISPLAY_HEIGHT, height)
    # Centimetres, or a ratio, which old tools write without declaring it.
    in_pixels = told.get(_DISPLAY_UNIT, 0) == 0 and (shown[0] >= width or shown[1] >= height)
    return shown if in_pixels else (width, height)


def _has_pictures(file: BinaryIO, track: Element) -> bool:
    mdia = first(boxes(file, track.start, track.end), b"mdia")
    hdlr = mdia and first(boxes(file, mdia.start, mdia.end), b"hdlr")
    return hdlr is not None and content(file, hdlr, at_most=_HDLR_BYTES)[8:] == b"vide"


def _track_size(file: BinaryIO, track: Element) -> Size | None:
    tkhd = first(boxes(file, track.start, track.end), b"tkhd")
    header = content(file, tkhd, at_most=_TKHD_BYTES) if tkhd else b""
    at = _MATRIX_AT.get(header[0]) if header else None
    if at is None or len(header) < at + 11 * 4:
        return None
    a, b, _, c, d, *_, width, height = struct.unpack_from(">9i2I", header, at)
    if not width or not height:
        return None
    is_turned = a == d == 0 and b != 0 and c != 0
    size = (round(width / _FIXED), round(height / _FIXED))
    return (size[1], size[0]) if is_turned else size
