"""Saying a thing once in a while, however often it happens."""

from collections.abc import Callable


class Sampler:
    """Lets one occurrence of each key through per interval, and tells how many it held back."""

    def __init__(self, interval_s: float, clock: Callable[[], float]) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._next_at: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def admit(self, key: str) -> int | None:
        """Return how many of *key* were held back since the last one let through, or None to hold this back.

        Keys are kept forever: pass a fixed set of names, never what a caller sent.
        """
        now = self._clock()
        if now < self._next_at.get(key, now):
            self._held_back[key] = self._held_back.get(key, 0) + 1
            return None
        self._next_at[key] = now + self._interval_s
        return self._held_back.pop(key, 0)
