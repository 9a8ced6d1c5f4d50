"""Ranges and entity tags, as RFC 9110 has them."""

import pytest
from starlette.requests import Request
from starlette.responses import Response

from receiver.sandbox.ranges import answer

CONTENT = bytes(range(100))


def ask(**headers: str) -> Response:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return answer(Request({"type": "http", "headers": named}), CONTENT, "image/png")


class TestAnswer:
    def test_whole(self) -> None:
        """All of it, and that parts can be had."""
        whole = ask()
        assert (whole.status_code, whole.body) == (200, CONTENT)
        assert (whole.headers["accept-ranges"], whole.headers["content-type"]) == ("bytes", "image/png")

    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            ("bytes=0-9", 0, 9),
            ("bytes=90-", 90, 99),
            ("bytes=90-1000", 90, 99),
            ("bytes=-10", 90, 99),
            ("bytes=-1000", 0, 99),
        ],
    )
    def test_part(self, asked: str, first: int, last: int) -> None:
        """From the start, from the middle, from the end."""
        part = ask(range=asked)
        assert (part.status_code, part.body) == (206, CONTENT[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/100"

    @pytest.mark.parametrize("asked", ["bytes=100-", "bytes=-0", "bytes=9-3"])
    def test_outside(self, asked: str) -> None:
        """There is no such part."""
        outside = ask(range=asked)
        assert (outside.status_code, outside.headers["content-range"]) == (416, "bytes */100")

    @pytest.mark.parametrize("asked", ["", "lines=1-2", "bytes=a-b", "bytes=0-1,5-6", "bytes=-"])
    def test_what_is_no_single_range_is_ignored(self, asked: str) -> None:
        """Then the whole comes, as the RFC allows."""
        assert ask(range=asked).status_code == 200

    def test_unchanged(self) -> None:
        """Whoever has it already is told so; a range of another version is not given."""
        etag = ask().headers["etag"]
        assert (ask(if_none_match=etag).status_code, ask(if_none_match=etag).body) == (304, b"")
        assert ask(if_none_match='"other"').status_code == 200
        assert ask(range="bytes=0-9", if_range=etag).status_code == 206
        assert ask(range="bytes=0-9", if_range='"other"').status_code == 200
