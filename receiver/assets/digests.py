"""Digests of an asset during the download: of the whole, and of its parts for S3."""

import hashlib
import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from receiver.assets import Part, Parts

PART_BYTES: Final = 8 * 1024 * 1024
"""A larger asset goes to S3 in parts of this size."""
_POLYNOMIAL: Final = 0xEDB88320
_ONE: Final = 1 << 31
"""1, as a CRC-32 has its polynomials: the highest bit is of x to the 0."""


class Digests:
    """Hashes bytes as they arrive. Without *part_bytes*, there are no digests of parts."""

    def __init__(self, part_bytes: int | None) -> None:
        self._part_bytes = part_bytes
        self._whole = hashlib.sha256()
        self._parts: list[Part] = []
        self._part = self._whole
        """In the first part it equals the whole so far: an asset of one part is hashed once."""
        self._start, self._size_bytes, self._crc32 = 0, 0, 0

    @property
    def sha256(self) -> str:
        """The hex digest of the whole so far."""
        return self._whole.hexdigest()

    def update(self, block: bytes | bytearray) -> None:
        """Append *block*."""
        if self._part_bytes is None:
            self._whole.update(block)
            return
        with memoryview(block) as left:
            start = 0
            while start < len(block):
                with left[start : start + self._part_bytes - self._size_bytes] as piece:
                    self._append(piece)
                    start += len(piece)

    def ended(self, since: int) -> list[Part]:
        """Return the parts that are complete by now, except this many already returned."""
        return self._parts[since:]

    def parts(self) -> Parts | None:
        """Return the parts, once all bytes have arrived; None if there is only one."""
        if self._part_bytes is None or not self._parts:
            return None
        if self._size_bytes:
            self._end_part()
        return Parts(self._part_bytes, _crc32_of_all(self._parts), tuple(self._parts))

    def _append(self, piece: memoryview) -> None:
        self._whole.update(piece)
        if self._parts:
            self._part.update(piece)
        self._crc32 = zlib.crc32(piece, self._crc32)
        self._size_bytes += len(piece)
        if self._size_bytes == self._part_bytes:
            self._end_part()

    def _end_part(self) -> None:
        self._parts.append(Part(self._start, self._size_bytes, self._part.hexdigest(), self._crc32))
        self._start += self._size_bytes
        self._part, self._size_bytes, self._crc32 = hashlib.sha256(), 0, 0


def _crc32_of_all(parts: Iterable[Part]) -> int:
    """Return the CRC-32 of all *parts* from those of each, as zlib's `crc32_combine` does."""
    whole = 0
    for part in parts:
        whole = _product(_x_to(8 * part.size_bytes), whole) ^ part.crc32
    return whole


@lru_cache(maxsize=8)
def _x_to(power: int) -> int:
    result, square = _ONE, _ONE >> 1
    while power:
        if power & 1:
            result = _product(result, square)
        square = _product(square, square)
        power >>= 1
    return result


def _product(a: int, b: int) -> int:
    """Multiply two polynomials, modulo that of CRC-32."""
    result = 0
    while a:
        if a & _ONE:
            result ^= b
        a = (a << 1) & 0xFFFFFFFF
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return result
