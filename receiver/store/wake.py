"""Wakes workers the moment there is work, in this process and on other machines."""

import asyncio
from collections import defaultdict
from typing import Final

MIRROR: Final = "mirror"
"""Events with an asset were recorded."""
SETTLE: Final = "settle"
"""Events without an asset were recorded."""
FORWARD: Final = "forward"
"""Deliveries became due."""
LATE: Final = "late"
"""There is room for late assets. Nobody waits for them, so only a worker itself signals this."""
TOPICS: Final = (MIRROR, SETTLE, FORWARD, LATE)


class Wake:
    """Signals that reach every subscriber. A signal that nobody awaits is kept for the next wait."""

    def __init__(self) -> None:
        self._subscribers: defaultdict[str, list[asyncio.Event]] = defaultdict(list)

    def subscribe(self, topic: str) -> asyncio.Event:
        """Return an event that is set at each signal on *topic*; the subscriber clears it."""
        event = asyncio.Event()
        self._subscribers[topic].append(event)
        return event

    def signal(self, topic: str) -> None:
        """Wake the subscribers of *topic*. Call from the event loop."""
        for event in self._subscribers[topic]:
            event.set()

    def signal_all(self) -> None:
        """Wake everyone: something may have been missed, or it is time to stop."""
        for topic in TOPICS:
            self.signal(topic)
