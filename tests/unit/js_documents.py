"""Random JSON documents, and broken ones, made to tell one printer of JSON from another."""

import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

_Maker = Callable[[Random, int], str]
_BLANKS: Final = ["", "", "", " ", "\n", "\t", "\r\n  "]
_PIECES: Final = [
    *'a"\\/<&é中€🎬\x7f\x80\u2028\u2029\ufeff\uffff\U0010ffff',
    *"\b\f\n\r\t\0\x1f\x0b",
    *[chr(surrogate) for surrogate in (0xD800, 0xD83D, 0xDBFF, 0xDC00, 0xDE00, 0xDFFF)],
]
_SHORT_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "/": "\\/",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_KEYS: Final = [
    "a",
    "b",
    "",
    "__proto__",
    "toJSON",
    "01",
    "-1",
    "1.5",
    "1e3",
    "4294967294",
    "4294967295",
    "4294967296",
    "٣",
]
_NOISE: Final = [
    *b'"\\{}[],:+-.0189eEux \n\x00\x0b\x0c\x7f\x80\xc3\xa9\xed\xa0\xef\xbb\xbf\xff',
    *b"nulltruefalseNaN",
]


def documents(random: Random, count: int) -> Iterator[bytes]:
    """Yield *count* documents; about a third are mutated, most of these no longer JSON."""
    for _ in range(count):
        body = _value(random, random.choice([0, 1, 2, 3, 5])).encode("utf-8")
        yield _mutated(random, body) if random.random() < 1 / 3 else body


def _value(random: Random, depth: int) -> str:
    leaves: list[_Maker] = [_number, _number, _string, _constant]
    branches: list[_Maker] = [_array, _object, _object]
    make = random.choice(branches if depth and random.random() < 0.8 else leaves)
    return _blank(random) + make(random, depth) + _blank(random)


def _array(random: Random, depth: int) -> str:
    return (
        "["
        + (",".join(_value(random, depth - 1) for _ in range(random.randrange(5))) or _blank(random))
        + "]"
    )


def _object(random: Random, depth: int) -> str:
    members = (
        f"{_key(random)}{_blank(random)}:{_value(random, depth - 1)}" for _ in range(random.randrange(6))
    )
    return "{" + (",".join(members) or _blank(random)) + "}"


def _key(random: Random) -> str:
    if random.random() < 0.4:
        return f'"{random.randrange(12) if random.random() < 0.7 else random.randrange(2**33)}"'
    return f'"{random.choice(_KEYS)}"' if random.random() < 0.7 else _string(random)


def _blank(random: Random) -> str:
    return random.choice(_BLANKS)


def _constant(random: Random, _depth: int = 0) -> str:
    return random.choice(["null", "true", "false"])


def _string(random: Random, _depth: int = 0) -> str:
    return '"' + "".join(_character(random, random.choice(_PIECES)) for _ in range(random.randrange(6))) + '"'


def _character(random: Random, character: str) -> str:
    if character in _SHORT_ESCAPES and (character != "/" or random.random() < 0.5):
        return _SHORT_ESCAPES[character]
    point = ord(character)
    if point < 0x20 or 0xD800 <= point < 0xE000 or (point < 0x10000 and random.random() < 0.2):
        return f"\\u{point:04{random.choice('xX')}}"
    return character


def _number(random: Random, _depth: int = 0) -> str:
    return random.choice([_double, _decimal, _integer, _near_power])(random)


def _double(random: Random) -> str:
    value: float = struct.unpack("<d", random.randbytes(8))[0]
    return repr(value) if value - value == 0 else "1e999"


def _decimal(random: Random) -> str:
    whole = random.choice(["0", "1", "-0", "-7", str(random.randrange(10**9))])
    fraction = "".join(random.choices("0000123456789", k=random.randint(1, 20)))
    sign, digits = random.choice(["", "+", "-"]), str(random.randrange(40)).zfill(random.randint(1, 3))
    exponent = f"{random.choice('eE')}{sign}{digits}"
    return f"{whole}.{fraction}" + (exponent if random.random() < 0.5 else "")


def _integer(random: Random) -> str:
    return random.choice(["", "-"]) + str(random.randrange(10 ** random.randint(1, 25)))


def _near_power(random: Random) -> str:
    base, exponent = random.choice([(2, random.randint(50, 70)), (10, random.randint(0, 25))])
    return random.choice(
        [str(base**exponent + random.randint(-3, 3)), f"{random.randint(1, 99)}e-{exponent}"]
    )


def _mutated(random: Random, body: bytes) -> bytes:
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(body) + 1)
        end = random.randint(at, min(len(body), at + 4))
        replacement = bytes(random.choices(_NOISE, k=random.randrange(3)))
        body = body[:at] + random.choice([replacement, replacement, body[at:end] * 2]) + body[end:]
    return body
