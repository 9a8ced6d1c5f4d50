"""Connections to a store that wait for their next request."""

import time
from collections import deque
from typing import Final, Generic, Protocol, TypeVar

from receiver.assets.s3_way import Address

KEPT_S: Final = 4.0
"""Servers hang up after five seconds or more without a request."""


class Closable(Protocol):
    """A connection."""

    def close(self) -> None:
        """Hang up."""


Connection = TypeVar("Connection", bound=Closable)


class IdleConnections(Generic[Connection]):
    """Some connections, each for a few seconds. Safe in threads."""

    def __init__(self) -> None:
        self._kept: deque[tuple[Address, Connection, float]] = deque()

    def take(self, address: Address) -> Connection | None:
        """Return the one to *address* that waits since the latest; hang up those that cannot be used."""
        while kept := self._pop():
            of, connection, since = kept
            if of == address and time.monotonic() - since < KEPT_S:
                return connection
            connection.close()
        return None

    def keep(self, address: Address, connection: Connection) -> None:
        """Let *connection* to *address* wait."""
        self._kept.append((address, connection, time.monotonic()))

    def close(self) -> None:
        """Hang up."""
        while kept := self._pop():
            kept[1].close()

    def _pop(self) -> tuple[Address, Connection, float] | None:
        try:
            return self._kept.pop()
        except IndexError:  # another thread may have taken the last
            return None
