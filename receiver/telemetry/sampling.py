"""Saying a thing once in a while, however often it happens."""

from collections.abc import Callable
from typing import Final

EVERY_S: Final = 10.0
"""How often a fact is logged that others can cause at will."""


class Sampler:
    """Lets one occurrence of each key through per interval, and tells how many it held back.

    Of more than *most* keys, the one let through longest ago is forgotten.
    """

    def __init__(self, interval_s: float, clock: Callable[[], float], *, most: int = 1024) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._most = most
        self._next_at: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def admit(self, key: str) -> int | None:
        """Return how many of *key* were held back since the last one let through; None: hold this back."""
        now = self._clock()
        if now < self._next_at.get(key, now):
            self._held_back[key] = self._held_back.get(key, 0) + 1
            return None
        self._next_at.pop(key, None)
        self._next_at[key] = now + self._interval_s
        if len(self._next_at) > self._most:
            oldest = next(iter(self._next_at))
            del self._next_at[oldest]
            self._held_back.pop(oldest, None)
        return self._held_back.pop(key, 0)
