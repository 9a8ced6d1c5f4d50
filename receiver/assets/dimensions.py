"""Dimensions of images and videos, and durations of videos and audio, if the headers give them cheaply.

A courtesy to consumers, not a gate: unknown values are None, and no file makes this raise.
"""

import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeVar

import imagesize  # type: ignore[import-untyped]

from receiver.assets import audio_duration
from receiver.assets.duration import mp4_duration_s, plausible, webm_duration_s
from receiver.assets.elements import Bounded
from receiver.assets.exif import png_chunks, png_orientation, webp_orientation
from receiver.assets.frame_size import Size, mp4_frame_size, webm_frame_size

MAX_SIDE_PX: Final = 2**31 - 1
"""The limit of the formats, and of a column of the database."""

_NOT_FOUND: Final = (-1, -1)
_VP8: Final = b"VP8 "
_VP8_SIDE: Final = 0x3FFF
_OLD_BMP: Final = 12
_TURNED: Final = frozenset((5, 6, 7, 8))
"""The EXIF orientations that turn a picture by 90 degrees."""

Told = TypeVar("Told")
Frames = Callable[[BinaryIO, int], Size | None]
Seconds = Callable[[BinaryIO, int], float | None]

_ISO: Final[tuple[Frames, Seconds]] = (mp4_frame_size, mp4_duration_s)
_EBML: Final[tuple[Frames, Seconds]] = (webm_frame_size, webm_duration_s)
_CONTAINERS: Final[Mapping[str, tuple[Frames, Seconds]]] = {
    "video/mp4": _ISO,
    "video/quicktime": _ISO,
    "video/3gpp": _ISO,
    "video/3gpp2": _ISO,
    "audio/mp4": _ISO,
    "video/webm": _EBML,
    "video/x-matroska": _EBML,
}


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What a file's headers say."""

    width: int | None = None
    """Displayed pixels, after its EXIF orientation or a video's matrix."""
    height: int | None = None
    duration_s: float | None = None
    """Seconds of a video or audio, to the millisecond."""


def measure(file: BinaryIO, content_type: str) -> Dimensions:
    """Read the headers of *file*, a few bytes at a time."""
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    if content_type.startswith("image/"):
        size, duration_s = _tried(lambda: _image(file, content_type)), None
    elif content_type in _CONTAINERS:
        frames, seconds = _CONTAINERS[content_type]
        size = _tried(lambda: frames(file, size_bytes))
        duration_s = _tried(lambda: seconds(file, size_bytes))
    elif content_type in audio_duration.TYPES:
        return Dimensions(duration_s=_tried(lambda: _sound(file, content_type, size_bytes)))
    else:
        return Dimensions()
    if size is None or not all(0 < side <= MAX_SIDE_PX for side in size):
        return Dimensions(duration_s=duration_s)
    return Dimensions(*size, duration_s)


def _tried(read: Callable[[], Told | None]) -> Told | None:
    try:
        return read()
    except Exception:  # noqa: BLE001  a malformed file tells nothing, whatever it made a parser raise
        return None


def _sound(file: BinaryIO, content_type: str, size_bytes: int) -> float | None:
    seconds = audio_duration.audio_duration_s(file, content_type, size_bytes)
    return None if seconds is None else plausible(seconds)


def _image(file: BinaryIO, content_type: str) -> Size | None:
    match content_type:
        case "image/png":
            return _turned(_png_size(file), png_orientation(file))
        case "image/webp":
            return _turned(_webp_size(file), webp_orientation(file))
        case "image/gif":
            file.seek(6)
            return _pair("<HH", file.read(4))
        case "image/bmp":
            file.seek(14)
            header = file.read(8)
            if int.from_bytes(header[:4], "little") == _OLD_BMP:
                return _pair("<HH", header[4:])
            return _by_library(file)
        case _:
            return _by_library(file)


def _by_library(file: BinaryIO) -> Size | None:
    size: Size = imagesize.get(Bounded(file))
    return None if size == _NOT_FOUND else size


def _turned(size: Size | None, orientation: int) -> Size | None:
    return (size[1], size[0]) if size and orientation in _TURNED else size


def _png_size(file: BinaryIO) -> Size | None:
    """Read the header; Apple's tools write a chunk before it (`CgBI`)."""
    for number, (name, start, _) in enumerate(png_chunks(file)):
        if name == b"IHDR":
            file.seek(start)
            return _pair(">II", file.read(8))
        if number:
            break
    return None


def _webp_size(file: BinaryIO) -> Size | None:
    size = _by_library(file)
    file.seek(12)
    if size and file.read(4) == _VP8:  # the two high bits are for scaling
        return size[0] & _VP8_SIDE, size[1] & _VP8_SIDE
    return size


def _pair(layout: str, data: bytes) -> Size:
    width, height = struct.unpack(layout, data)
    return width, height
