"""Where a list goes on, as one word: the key of its last row."""

import re
from typing import Final

from receiver.store.window import Key

_SEPARATOR: Final = "/"
_ID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Every key begins with one."""


def read_cursor(text: str, *, parts: int) -> Key:
    """Return the key that *text* stands for, which has that many *parts*.

    Raises:
        ValueError: it is not of our making; neither database looks for a NUL.
    """
    key = tuple(text.split(_SEPARATOR))
    if len(key) != parts or not _ID.fullmatch(key[0]) or not all(key) or "\0" in text:
        raise ValueError(f"{text!r} is not a cursor from an earlier list")
    return key


def write_cursor(key: Key) -> str:
    """Return the cursor of a key."""
    return _SEPARATOR.join(map(str, key))
