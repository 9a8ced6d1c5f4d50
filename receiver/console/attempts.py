"""How often somebody may guess the token."""

import time
from collections import OrderedDict, deque
from typing import Final

MOST: Final = 5
"""Wrong tokens of one address within `WITHIN_S`."""
WITHIN_S: Final = 60.0
_MOST_ADDRESSES: Final = 1024


class Attempts:
    """The wrong tokens of the last minute, by address. Those of longest ago are forgotten first."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Return for how many seconds *address* may not try again; 0 if it may."""
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
        """Begin anew for an address that had the right token."""
        self._wrong.pop(address, None)
