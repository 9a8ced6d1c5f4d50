"""Cursors for lists: the key of the last row, as one word."""

import re
from typing import Final

from receiver.store.window import Key

_SEPARATOR: Final = "/"
_ID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Every key begins with such an id."""


def read_cursor(text: str, *, parts: int) -> Key:
    """Return the key that *text* encodes, with that many *parts*.

    Raises:
        ValueError: we did not make it, or it has a NUL, which neither database can look for.
    """
    key = tuple(text.split(_SEPARATOR))
    if len(key) != parts or not _ID.fullmatch(key[0]) or not all(key) or "\0" in text:
        raise ValueError(f"{text!r} is not a cursor from an earlier list")
    return key


def write_cursor(key: Key) -> str:
    """Encode a key as a cursor."""
    return _SEPARATOR.join(map(str, key))
