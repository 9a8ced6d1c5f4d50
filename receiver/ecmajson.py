"""`JSON.stringify(JSON.parse(body))`, byte for byte as Node prints it.

The provider signs this form of a body, and may send a different one. Numbers become IEEE doubles and are
printed by ECMAScript's rules, array-index keys come first, a repeated key keeps its first place and its last
value.

Source: https://tc39.es/ecma262/#sec-json.parse and #sec-json.stringify; compared with Node 20.
"""

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final, NoReturn

from receiver.errors import NotJson

MAX_DEPTH: Final = 256
"""Deeper nesting is refused: far below what Python's recursion limit leaves a busy server."""

# An unterminated string runs to the end, so that no quote is ever visited twice.
_STRING_OR_BRACKETS: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]++|[\]}]++')
_ARRAY_INDEX: Final = re.compile(r"(?:0|[1-9][0-9]{0,9})\Z")
_NOT_AN_INDEX: Final = 2**32 - 1
_EXACT_BELOW: Final = 2**53
_PLAIN_FROM: Final = 1e-6
_PLAIN_BELOW: Final = 1e21
_CONSTANTS: Final = {None: "null", True: "true", False: "false"}


def stringify(body: bytes, *, max_depth: int = MAX_DEPTH) -> bytes:
    """Return what Node prints for `JSON.stringify(JSON.parse(body))`.

    Takes strict UTF-8 only: no byte order mark, no other encoding. A string may still hold lone surrogates
    (as escapes); they stay escapes.

    Args:
        body: the document as received.
        max_depth: arrays and objects open at once, at most; not above `MAX_DEPTH`.

    Raises:
        NotJson: `JSON.parse` would throw, *body* is not UTF-8, or it nests deeper than *max_depth*.
    """
    try:
        return _print(_parse(body, min(max_depth, MAX_DEPTH)))
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def _parse(body: bytes, max_depth: int) -> Any:
    text = body.decode("utf-8")
    _refuse_deeper(text, max_depth)
    return _PARSER.decode(text)


def _print(document: Any) -> bytes:
    pieces: list[str] = []
    _write(document, pieces.append)
    # The only characters UTF-8 cannot hold are lone surrogates, which Python escapes as ECMAScript does.
    return "".join(pieces).encode("utf-8", "backslashreplace")


def _refuse_deeper(text: str, max_depth: int) -> None:
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for match in _STRING_OR_BRACKETS.finditer(text):
        token = match[0]
        if token[0] in "[{":
            depth += len(token)
        elif token[0] != '"':
            depth -= len(token)
        if depth > max_depth:
            raise ValueError(f"nested deeper than {max_depth}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# `float` for integers too: every number of JavaScript is a double, and `int` refuses 4300 digits.
_PARSER: Final = json.JSONDecoder(parse_int=float, parse_constant=_refuse_constant)


def _write(value: Any, emit: Callable[[str], None]) -> None:
    if isinstance(value, str):
        emit(encode_basestring(value))
    elif isinstance(value, float):
        emit(_number(value))
    elif isinstance(value, dict):
        _write_object(value, emit)
    elif isinstance(value, list):
        _write_array(value, emit)
    else:
        emit(_CONSTANTS[value])


def _write_object(value: dict[str, Any], emit: Callable[[str], None]) -> None:
    before = "{"
    for key in sorted(value, key=_rank):
        emit(f"{before}{encode_basestring(key)}:")
        _write(value[key], emit)
        before = ","
    emit("}" if value else "{}")


def _write_array(value: list[Any], emit: Callable[[str], None]) -> None:
    before = "["
    for item in value:
        emit(before)
        _write(item, emit)
        before = ","
    emit("]" if value else "[]")


def _rank(key: str) -> int:
    """Place array indices first, ascending, and leave other keys in document order.

    Source: https://tc39.es/ecma262/#sec-ordinaryownpropertykeys
    """
    return min(int(key), _NOT_AN_INDEX) if _ARRAY_INDEX.match(key) else _NOT_AN_INDEX


def _number(value: float) -> str:
    """Print *value* as ECMAScript does.

    Source: https://tc39.es/ecma262/#sec-numeric-types-number-tostring
    """
    if not math.isfinite(value):
        return "null"
    if value.is_integer() and abs(value) < _EXACT_BELOW:
        return str(int(value))
    shortest = repr(value)
    if "e" not in shortest:
        return shortest.removesuffix(".0")
    if _PLAIN_FROM <= abs(value) < _PLAIN_BELOW:
        return format(Decimal(shortest), "f")
    return shortest.replace("e-0", "e-")
