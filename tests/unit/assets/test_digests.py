"""Digests of what comes in pieces of any size."""

import hashlib
import random
import zlib

from receiver.assets import Part
from receiver.assets.digests import Digests


def taken(data: bytes, part_bytes: int | None) -> Digests:
    """Return the digests of *data*, given in pieces."""
    digests, start, sizes = Digests(part_bytes), 0, random.Random(7)
    while start < len(data):
        end = start + sizes.randint(1, 35)
        digests.update(data[start:end])
        start = end
    return digests


class TestDigests:
    def test_parts(self) -> None:
        """Each part has its place and digests, however the bytes came; so has the whole."""
        for size in (10, 19, 20, 21, 250):
            data = random.Random(size).randbytes(size)
            digests = taken(data, 10)
            parts = digests.parts()
            assert parts
            assert (digests.sha256, parts.crc32) == (hashlib.sha256(data).hexdigest(), zlib.crc32(data))
            pieces = [data[start : start + 10] for start in range(0, size, 10)]
            assert parts.all == tuple(
                Part(number * 10, len(piece), hashlib.sha256(piece).hexdigest(), zlib.crc32(piece))
                for number, piece in enumerate(pieces)
            )

    def test_no_parts(self) -> None:
        """An asset that is smaller than a part has none, nor has any if nobody asked."""
        for size, part_bytes in ((0, 10), (9, 10), (250, None)):
            digests = taken(bytes(size), part_bytes)
            assert digests.parts() is None
            assert digests.sha256 == hashlib.sha256(bytes(size)).hexdigest()
