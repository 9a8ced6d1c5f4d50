"""Limits how often somebody may guess the token."""

import time
from collections import OrderedDict, deque
from typing import Final

MOST: Final = 5
"""Wrong tokens from one address within `WITHIN_S`."""
WITHIN_S: Final = 60.0
_MOST_ADDRESSES: Final = 1024


class Attempts:
    """The wrong tokens of the last minute, by address. The oldest are forgotten first."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Return the seconds until *address* may try again; 0 if it may now."""
        times = self._wrong.get(address, deque())
        if len(times) < MOST:
            return 0.0
        return max(0.0, times[0] + WITHIN_S - time.monotonic())

    def note(self, address: str) -> None:
        """Count a wrong token."""
        self._wrong.setdefault(address, deque(maxlen=MOST)).append(time.monotonic())
        self._wrong.move_to_end(address)
        if len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)

    def forget(self, address: str) -> None:
        """Forget the wrong tokens of an address that sent the right one."""
        self._wrong.pop(address, None)
