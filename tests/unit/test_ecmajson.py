"""JSON is printed byte for byte as Node prints it."""

import inspect
import json
import os
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.ecmajson import MAX_DEPTH, stringify
from receiver.errors import NotJson
from tests.servers import node
from tests.unit.js_documents import documents

VECTORS = Path(__file__).parents[1] / "vectors"
PRINTED = json.loads((VECTORS / "js_stringify.json").read_text("utf-8"))
REFUSED = json.loads((VECTORS / "js_parse_rejects.json").read_text("utf-8"))
FUZZ_DOCUMENTS = int(os.environ.get("RECEIVER_TEST_FUZZ_DOCUMENTS", "5000"))

INTEGERS = st.integers(-(2**1000), 2**1000)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | INTEGERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def printed(body: bytes) -> bytes | None:
    try:
        return stringify(body)
    except NotJson:
        return None


def below(frames: int, body: bytes) -> bytes | None:
    return below(frames - 1, body) if frames else printed(body)


class TestStringify:
    def test_recorded(self, subtests: pytest.Subtests) -> None:
        """What Node printed is printed."""
        for case in PRINTED:
            with subtests.test(case["note"]):
                assert stringify(case["raw"].encode()) == case["canonical"].encode()

    def test_recorded_refusal(self, subtests: pytest.Subtests) -> None:
        """What `JSON.parse` refuses is refused."""
        for case in REFUSED:
            with subtests.test(case["raw"]), pytest.raises(NotJson):
                stringify(case["raw"].encode())

    def test_against_node(self) -> None:
        """Thousands of documents, a third of them mutated, come out as Node prints them, or both refuse."""
        seed = Random().randrange(2**32)
        bodies = list(documents(Random(seed), FUZZ_DOCUMENTS))
        expected = node.stringify_all(bodies)
        assert FUZZ_DOCUMENTS / 10 < expected.count(None) < FUZZ_DOCUMENTS / 2
        different = [(b, printed(b), e) for b, e in zip(bodies, expected, strict=True) if printed(b) != e]
        assert different[:3] == [], f"seed {seed}: {len(different)} of {len(bodies)}"

    @pytest.mark.parametrize(
        "body",
        [
            b"\xef\xbb\xbf{}",
            '{"a":1}'.encode("utf-16"),
            '"é"'.encode("latin-1"),
            b'"\xed\xa0\x80"',
            b'"\xc0\xaf"',
        ],
        ids=["byte order mark", "UTF-16", "latin-1", "encoded surrogate", "overlong"],
    )
    def test_only_utf8(self, body: bytes) -> None:
        """Other encodings, which `json.loads` would guess, are refused."""
        with pytest.raises(NotJson):
            stringify(body)

    @pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
    def test_depth(self, opening: bytes, closing: bytes) -> None:
        """Nesting is followed to the limit exactly."""
        body = opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH
        assert stringify(body) == body
        with pytest.raises(NotJson, match="nested deeper"):
            stringify(b"[" + body + b"]")

    def test_lower_limit(self) -> None:
        """A caller may set a lower limit, and never a higher one."""
        assert stringify(b"[[[]]]", max_depth=3) == b"[[[]]]"
        with pytest.raises(NotJson, match="nested deeper than 2"):
            stringify(b"[[[]]]", max_depth=2)
        with pytest.raises(NotJson, match=f"nested deeper than {MAX_DEPTH}"):
            stringify(b"[" * 300 + b"]" * 300, max_depth=1000)

    @pytest.mark.parametrize("body", [b'["[[[{{{"]', b'["\\"[[[","[[["]', b"[[],[],[],{}]"])
    def test_only_open_brackets_are_depth(self, body: bytes) -> None:
        """Brackets in strings, and side by side, are not depth."""
        assert stringify(body, max_depth=2) == body

    @pytest.mark.parametrize(
        "body",
        [b"[" * 10**6, b'{"a":' * 10**6, b"[]" * 300 + b'"\\' * 10**6, b"[]" * 300 + b'"' + b'\\"' * 10**6],
        ids=["arrays", "objects", "odd quotes", "unterminated string"],
    )
    def test_bombs(self, body: bytes) -> None:
        """Megabytes made to nest, or to be scanned again and again, are refused in linear time."""
        with pytest.raises(NotJson):
            stringify(body)

    def test_huge_number(self) -> None:
        """A million digits are one more double."""
        assert stringify(b"9" * 10**6) == b"null"
        assert stringify(b"0." + b"3" * 10**6) == b"0.3333333333333333"

    @pytest.mark.parametrize("frames_left", [40, 150, 300, 600])
    def test_stack_nearly_used_up(self, frames_left: int) -> None:
        """A caller deep in its own recursion gets a result or a refusal, never RecursionError."""
        body = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
        frames = sys.getrecursionlimit() - len(inspect.stack(0)) - frames_left
        assert below(frames, body) in (body, None)

    @given(st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
    def test_any_bytes(self, body: bytes) -> None:
        """Any bytes end in a refusal, or in a text that prints as itself."""
        once = printed(body)
        assert once is None or printed(once) == once

    @given(JSON)
    def test_keeps_the_meaning(self, value: object) -> None:
        """What is printed parses to what was given, every number as a double."""
        body = json.dumps(value)
        assert json.loads(stringify(body.encode()), parse_int=float) == json.loads(body, parse_int=float)
