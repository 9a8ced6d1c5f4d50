"""All open connections of one listener, the memory they hold, and the CPU time of strangers."""

import asyncio
from typing import TYPE_CHECKING, Final

from receiver.web.fair_queue import FairQueue

if TYPE_CHECKING:
    from receiver.web.connection import Connection

MAX_CONNECTIONS: Final = 4096
MAX_HELD_BYTES: Final = 12 * 1024 * 1024
"""Limit for all incomplete or waiting requests together."""
_KEPT_SHARE: Final = 7 / 8
"""The share that is kept when it is exceeded, so that the largest is rarely looked for."""

_READ_BYTES: Final = 64 * 1024
_SHORT: Final = 4096
"""Up to this size, requests have their own queue; a webhook is a tenth of that."""
_MANY: Final = 128
"""With more strangers in the queues, new connections are served one by one."""
_LONG_S: Final = 0.001
"""Time that all strangers together may take in one turn of the event loop."""
_SHORT_S: Final = 0.002
"""The same for short requests: they go first, and continue when the long ones' time is used up."""


class Registry:
    """The connections, oldest first. Strangers are those without a genuine delivery so far.

    Beyond a limit, the oldest stranger is closed. So a client that opens endless connections displaces only
    others of that kind, never a known sender. Strangers whose input needs more time than this turn of the
    event loop allows wait in line, short requests before long ones, and each network in turn.
    """

    def __init__(self, *, max_connections: int) -> None:
        self.buffer = memoryview(bytearray(_READ_BYTES))
        """The buffer that each connection reads into in its turn."""
        self.is_draining = False
        """The listener is about to close: every answer ends its connection."""
        self._max_connections = max_connections
        self._strangers: dict[Connection, None] = {}
        self._known: dict[Connection, None] = {}
        self._held: dict[Connection, int] = {}
        self._held_bytes = 0
        self._spent_s = 0.0
        self._short: FairQueue[Connection] = FairQueue()
        self._long: FairQueue[Connection] = FairQueue()
        self._is_called = False

    def __len__(self) -> int:
        return len(self._strangers) + len(self._known)

    def add(self, connection: "Connection") -> None:
        """Note an open connection."""
        self._strangers[connection] = None
        if len(self) > self._max_connections:
            oldest = next(iter(self._strangers))
            # Its end is told a turn later, by when others may have come.
            self.discard(oldest)
            oldest.abort()

    def discard(self, connection: "Connection") -> None:
        """Forget a closed one."""
        self._strangers.pop(connection, None)
        self._known.pop(connection, None)

    def recognise(self, connection: "Connection") -> None:
        """Note that *connection* brought a genuine delivery."""
        if self._strangers.pop(connection, self) is None:
            self._known[connection] = None

    def hold(self, connection: "Connection", size: int) -> None:
        """Note that *connection* now holds *size* bytes."""
        self._held_bytes += size - self._held.get(connection, 0)
        if size:
            self._held[connection] = size
        else:
            self._held.pop(connection, None)
        if self._held_bytes > MAX_HELD_BYTES:
            self._shed()

    def _shed(self) -> None:
        """Close the connections that hold the most, largest first: no webhook is that large."""
        for connection in sorted(self._held, key=self._held.__getitem__, reverse=True):
            if self._held_bytes <= MAX_HELD_BYTES * _KEPT_SHARE:
                return
            self._held_bytes -= self._held.pop(connection)
            connection.give_up()

    def all(self) -> list["Connection"]:
        """Return the open connections, as they are now."""
        return [*self._strangers, *self._known]

    def has_time(self, size: int) -> bool:
        """Whether a stranger with *size* bytes may be read now: nobody waits, and time is left."""
        return not self._line(size) and self._spent_s < _allowed_s(size)

    def spend(self, seconds: float) -> None:
        """Note time that was spent on a stranger."""
        self._spent_s += seconds
        self._call()

    def queue(self, connection: "Connection", size: int) -> None:
        """Let *connection*, which has *size* bytes to read, continue in its turn."""
        self._line(size).put(connection.peer, connection)
        self._call()

    def is_crowded(self) -> bool:
        """Whether many wait for their turn."""
        return len(self._short) + len(self._long) > _MANY

    def _line(self, size: int) -> "FairQueue[Connection]":
        return self._short if size <= _SHORT else self._long

    def _call(self) -> None:
        if not self._is_called:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_called = False
        self._spent_s = 0.0
        for line, allowed_s in ((self._short, _SHORT_S), (self._long, _LONG_S)):
            for _ in range(len(line)):
                if self._spent_s >= allowed_s:
                    break
                line.take().read_on()
        if self._short or self._long:
            self._call()


def _allowed_s(size: int) -> float:
    return _SHORT_S if size <= _SHORT else _LONG_S
