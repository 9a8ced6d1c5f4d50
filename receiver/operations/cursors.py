"""Where a list goes on, as one word: the key of its last row."""

from typing import Final

from receiver.store.window import Key

_SEPARATOR: Final = "/"


def read_cursor(text: str, *, parts: int) -> Key:
    """Return the key that *text* stands for, which has that many *parts*.

    Raises:
        ValueError: it is not of our making; neither database looks for a NUL.
    """
    key = tuple(text.split(_SEPARATOR))
    if len(key) != parts or "\0" in text:
        raise ValueError(f"{text!r} is not what an earlier list gave")
    return key


def write_cursor(key: Key) -> str:
    """Return the cursor of a key."""
    return _SEPARATOR.join(map(str, key))
