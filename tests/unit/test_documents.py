"""JSON as serializers write it."""

import contextlib
import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.documents import MAX_DEPTH, read

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def nested(depth: int, inner: bytes = b"1") -> bytes:
    return b"[" * depth + inner + b"]" * depth


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        depth, value = depth + 1, value[0] if value else None
    return depth


class TestRead:
    def test_odd_values(self, subtests: pytest.Subtests) -> None:
        """Numbers that nothing can hold are null, halves of characters are replaced."""
        for written, meant in [
            (b"1e400", None),
            (b"-1e400", None),
            (b"NaN", None),
            (b"-Infinity", None),
            (b"1e308", 1e308),
            (b"18446744073709551615", 2**64 - 1),
            (b"18446744073709551616", 2.0**64),
            (b"-9223372036854775809", -(2.0**63)),
            (b"1" * 300, float("1" * 300)),
            (b"1" * 5000, None),
            (rb'"\ud83d"', "\ufffd"),
            (rb'"\ud83d\ude00"', "\U0001f600"),
            (rb'"\\ud83d"', r"\ud83d"),
            (b"\xef\xbb\xbf7", 7),
        ]:
            with subtests.test(written=written, meant=meant):
                assert read(written) == meant

    def test_depths_are_read_as_null(self) -> None:
        """Up to the limit all is kept; brackets in strings do not count."""
        assert read(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))
        assert depth_of(read(nested(MAX_DEPTH + 1))) == MAX_DEPTH
        deep = b'{"a":%b,"b":"[[{","c":[2]}' % nested(100_000, rb'"]\"]"')
        found = read(deep)
        assert (depth_of(found["a"]), found["b"], found["c"]) == (MAX_DEPTH - 1, "[[{", [2])

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[1,]",
            b"\xff",
            b'"\xed\xa0\xbd"',
            b"[" * 100_000,
            b"]" * 100_000,
            nested(99) + b"]",
            b'"',
        ],
        ids=lambda body: body[:6],
    )
    def test_no_json(self, body: bytes) -> None:
        """What is not JSON stays so."""
        with pytest.raises(ValueError):  # noqa: PT011  # of whichever kind
            read(body)

    @given(values)
    def test_reads_what_python_writes(self, value: Any) -> None:
        """Whatever it is, it can be written again."""
        orjson.dumps(read(json.dumps(value).encode()))

    @pytest.mark.parametrize("body", [b'"' * 500_001, b"[" * 500_000 + b"]" * 500_000, rb'"\ud83d' * 80_000])
    def test_takes_time_in_proportion(self, body: bytes) -> None:
        """No body of a megabyte keeps anybody waiting."""
        began = time.process_time()
        with contextlib.suppress(ValueError):
            read(body)
        assert time.process_time() - began < 3
