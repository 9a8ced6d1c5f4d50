"""The EXIF orientation of a picture, wherever its format stores it.

Sources: EXIF 2.32 (section 4.6), PNG 3 (`eXIf`), https://developers.google.com/speed/webp/docs/riff_container
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

UPRIGHT: Final = 1

_MAX_CHUNKS: Final = 10_000
_MAX_EXIF_BYTES: Final = 64 * 1024
_ORIENTATION: Final = 0x0112
_SHORT: Final = 3
_ENTRY_BYTES: Final = 12
_PREFIX: Final = b"Exif\0\0"
_FIRST_PNG_CHUNK: Final = 8
_FIRST_WEBP_CHUNK: Final = 12


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each chunk, where its content begins, and its size."""
    at = _FIRST_PNG_CHUNK
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        size, name = struct.unpack(">I4s", file.read(8))
        yield name, at + 8, size
        at += 12 + size


def png_orientation(file: BinaryIO) -> int:
    """Return the orientation in a PNG, which may follow its image data."""
    return _orientation_in(file, png_chunks(file), b"eXIf")


def webp_orientation(file: BinaryIO) -> int:
    """Return the orientation in a WebP."""
    return _orientation_in(file, _webp_chunks(file), b"EXIF")


def orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, in the first directory of *exif*; `UPRIGHT` if there is none."""
    tiff = exif.removeprefix(_PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return UPRIGHT
    at = struct.unpack_from(f"{order}I", tiff, 4)[0]
    for number in range(struct.unpack_from(f"{order}H", tiff, at)[0]):
        tag, kind, count, value = struct.unpack_from(f"{order}HHIH", tiff, at + 2 + number * _ENTRY_BYTES)
        if (tag, kind, count) == (_ORIENTATION, _SHORT, 1):
            return int(value)
    return UPRIGHT


def _webp_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    at = _FIRST_WEBP_CHUNK
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        name, size = struct.unpack("<4sI", file.read(8))
        yield name, at + 8, size
        at += 8 + size + size % 2


def _orientation_in(file: BinaryIO, chunks: Iterator[tuple[bytes, int, int]], name: bytes) -> int:
    try:
        found = next(((start, size) for each, start, size in chunks if each == name), None)
        if found is None:
            return UPRIGHT
        file.seek(found[0])
        return orientation(file.read(min(found[1], _MAX_EXIF_BYTES)))
    except struct.error:  # the file or its EXIF data ended
        return UPRIGHT
