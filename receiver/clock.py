"""The machine's clock, in the unit that the store and the messages count in."""

import time


def now_ms() -> int:
    """Return the time, in milliseconds since the epoch."""
    return int(time.time() * 1000)
