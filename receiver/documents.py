"""JSON as real serializers write it, which strict parsers reject.

A part that nobody needs must not make an event unreadable: a number too large for a double, `NaN`, half an
emoji, endless nesting, a byte order mark.
"""

import json
import math
import re
from typing import Any, Final

MAX_DEPTH: Final = 64
"""Values nested deeper are read as null."""

# One escape at a time, so that `\\ud83d` is a backslash and a word. A surrogate pair counts as one.
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_REPLACEMENT: Final = r"\ufffd"
# An unterminated string runs to the end, so that no quote is ever visited twice.
_STRING_OR_BRACKETS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]++|[\]}]++', re.DOTALL)
_LONGEST_INTEGER: Final = 20


def read(body: bytes) -> Any:
    """Parse *body* into values that any serializer can write again.

    Raises:
        ValueError: it is still not JSON, or not UTF-8.
    """
    text = body.decode("utf-8-sig")
    if "\\u" in text:
        text = _ESCAPE.sub(_without_half_a_pair, text)
    if text.count("[") + text.count("{") > MAX_DEPTH:
        text = _without_the_depths(text)
    return _PARSER.decode(text)


def _without_half_a_pair(escape: re.Match[str]) -> str:
    # UTF-8 cannot hold it.
    return _REPLACEMENT if escape["half"] else escape[0]


def _without_the_depths(text: str) -> str:
    pieces, depth, kept = list[str](), 0, 0
    for match in _STRING_OR_BRACKETS.finditer(text):
        before, many = depth, len(match[0])
        if match[0][0] in "[{":
            depth += many
            if before <= MAX_DEPTH < depth:
                pieces += text[kept : match.start() + MAX_DEPTH - before], "null"
        elif match[0][0] in "]}":
            depth -= many
            if depth <= MAX_DEPTH < before:
                kept = match.start() + before - MAX_DEPTH
    # If brackets stay open, the result is not JSON.
    return "".join(pieces) + (text[kept:] if depth <= MAX_DEPTH else "")


def _integer(text: str) -> int | float | None:
    if len(text) > _LONGEST_INTEGER or not -(2**63) <= (number := int(text)) < 2**64:
        return _number(text)
    return number


def _number(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_PARSER: Final = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=lambda _: None)
