"""Waiting, in a thread, for what sets no event: a file, a log line, another process."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE_S: Final = 60.0
"""For what takes a second on a quiet machine."""
FIRST_PAUSE_S: Final = 0.002
LONGEST_PAUSE_S: Final = 0.1
SLOWER: Final = 1.2


def until(look: Callable[[], T | None], *, seconds: float = PATIENCE_S) -> T:
    """Return the first truthy value of *look*; fail after *seconds*."""
    deadline, pause_s = time.monotonic() + seconds, FIRST_PAUSE_S
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds:g} s: {look}")
        time.sleep(pause_s)
        pause_s = min(pause_s * SLOWER, LONGEST_PAUSE_S)
    return found
