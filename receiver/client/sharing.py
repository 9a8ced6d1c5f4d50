"""One pacer for each API key of this process, however many clients use it.

Processes need not share anything: every answer has the provider's own count, and the reserves of
`receiver.client.pacer` cover requests that others sent since.
"""

import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Final
from weakref import WeakValueDictionary

from receiver import forks
from receiver.client.config import Config
from receiver.client.pacer import Pacer

Name = tuple[str, str, Callable[[], float]]

_pacers: Final[WeakValueDictionary[Name, Pacer]] = WeakValueDictionary()


class _Guard(forks.Forkable):
    """Lets one thread at a time look up a pacer."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        forks.watch(self)

    def after_fork(self) -> None:
        """Wait for no thread of the parent."""
        self.lock = threading.Lock()


_guard: Final = _Guard()


def pacer_for(config: Config, clock: Callable[[], float]) -> Pacer:
    """Return the pacer that all clients with this base URL, key and clock share."""
    key = sha256("=".join(config.credential).encode()).hexdigest()
    with _guard.lock:
        # Not `setdefault`: the caller's strong reference must exist before the weak one is read again.
        pacer = _pacers.get(name := (config.base_url, key, clock))
        if pacer is None:
            pacer = _pacers[name] = Pacer()
        return pacer
