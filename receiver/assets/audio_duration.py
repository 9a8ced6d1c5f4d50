"""The duration of audio, as tinytag reads it; None if a file's headers do not prove it.

tinytag's guesses are not used. It guesses for an MP3 with a variable bit rate and no table, and for an Ogg
file with several streams. It also does for a WAV or AIFF whose header claims more than the file holds, as
programs that write to a pipe cannot know. An MP3's duration includes the encoder's padding, up to 0.2 s.
"""

import os
import re
from io import BytesIO
from typing import BinaryIO, Final

from tinytag import TinyTag

from receiver.assets.elements import Bounded

TYPES: Final = frozenset(("audio/wav", "audio/mpeg", "audio/flac", "audio/ogg", "audio/aiff"))

_WHOLE: Final = 1.01
_BYTES_PER_KBIT: Final = 125
_SPOT_BYTES: Final = 8 * 1024
_ID3_BYTES: Final = 10
_FRAME_SYNC: Final = re.compile(rb"\xff[\xe2-\xff]")
_VBR_TABLE: Final = re.compile(rb"Xing|Info|VBRI")
_PAGE: Final = b"OggS\0"
_PAGES_BYTES: Final = 128 * 1024
"""Twice the size of the largest Ogg page, so that one begins within."""
_SERIAL: Final = slice(14, 18)


def audio_duration_s(file: BinaryIO, content_type: str, size_bytes: int) -> float | None:
    """Return the duration in seconds of *file*, which has one of `TYPES`. Reads at most about 500 KiB.

    Raises whatever tinytag does on a file that is malformed.
    """
    match content_type:
        case "audio/ogg":
            return _ogg(file, size_bytes)
        case "audio/mpeg":
            return _mp3(file, size_bytes)
    told = _read(Bounded(file))
    claimed_bytes = (told.duration or 0) * (told.bitrate or 0) * _BYTES_PER_KBIT
    if content_type != "audio/flac" and claimed_bytes > size_bytes * _WHOLE:
        return None
    return told.duration


def _read(file: BinaryIO | Bounded) -> TinyTag:
    return TinyTag.get(file_obj=file, tags=False)  # type: ignore[arg-type]  # it only reads and seeks


def _mp3(file: BinaryIO, size_bytes: int) -> float | None:
    told = _read(Bounded(file))
    begins_at = _id3_bytes(file)
    file.seek(begins_at)
    begins = file.read(_SPOT_BYTES)
    sync = _FRAME_SYNC.search(begins)
    if not sync:
        return None
    if _VBR_TABLE.search(begins, sync.end(), sync.end() + 256):
        return told.duration
    spots = (begins_at + (size_bytes - begins_at) * part // 4 for part in (1, 2, 3))
    return told.duration if all(_bitrate(file, at, sync[0]) == told.bitrate for at in spots) else None


def _id3_bytes(file: BinaryIO) -> int:
    file.seek(0)
    head = file.read(_ID3_BYTES)
    if not head.startswith(b"ID3"):
        return 0
    return _ID3_BYTES + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))


def _bitrate(file: BinaryIO, at: int, sync: bytes) -> float | None:
    """Return the bit rate of the frames from *at* on, which begin with *sync* like all others."""
    file.seek(at)
    spot = file.read(_SPOT_BYTES)
    return _read(BytesIO(spot[spot.index(sync) :])).bitrate


def _ogg(file: BinaryIO, size_bytes: int) -> float | None:
    """Read the first and the last pages: the time of the last is the stream's duration."""
    file.seek(0)
    pages = file.read(2 * _PAGES_BYTES)
    if size_bytes > len(pages):
        file.seek(-_PAGES_BYTES, os.SEEK_END)
        last = file.read()
        first = pages[:_PAGES_BYTES]
        pages = first[: first.rindex(_PAGE)] + last[last.index(_PAGE) :]
    if pages[_SERIAL] != pages[pages.rindex(_PAGE) :][_SERIAL]:
        return None
    return _read(BytesIO(pages)).duration
