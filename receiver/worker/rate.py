"""A rate limit: messages per second, over any length of time."""

import time
from collections.abc import Callable
from typing import Final

_GATHERED_S: Final = 0.1
"""How long tokens gather before any is handed out: ten small batches a second, not one per message."""


class TokenBucket:
    """Holds a token for each message that may be sent: up to one second's worth, or one if that is less.

    Each worker process has its own.
    """

    def __init__(self, per_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """*clock* returns monotonic seconds."""
        self._per_s = per_s
        self._clock = clock
        self._most = max(1.0, per_s)
        self._least = max(1, int(per_s * _GATHERED_S))
        self._tokens = self._most
        self._filled_at = clock()

    def take(self, count: int) -> int:
        """Take up to *count* tokens; return how many, or 0 if the caller should wait `wait_s`."""
        self._fill()
        if self._tokens < min(count, self._least):
            return 0
        taken = min(count, int(self._tokens))
        self._tokens -= taken
        return taken

    def put_back(self, count: int) -> None:
        """Return unused tokens."""
        self._tokens = min(self._most, self._tokens + count)

    def wait_s(self) -> float:
        """Return the seconds until tokens can be taken again."""
        self._fill()
        return max(0.0, (self._least - self._tokens) / self._per_s)

    def _fill(self) -> None:
        now = self._clock()
        gathered = self._tokens + (now - self._filled_at) * self._per_s
        self._tokens = min(self._most, round(gathered, 9))  # whoever waited exactly long enough gets a token
        self._filled_at = now
