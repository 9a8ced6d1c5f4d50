"""Every open connection of one listener, and what they hold together."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from receiver.web.connection import Connection

MAX_CONNECTIONS: Final = 8192
MAX_HELD_BYTES: Final = 12 * 1024 * 1024
"""All requests that are not whole yet."""


class Registry:
    """The connections, oldest first. Strangers are those on which no genuine delivery came yet.

    Beyond a limit the oldest stranger goes, so that whoever opens connections, or begins bodies, without end
    takes room from others of that kind and never from a sender that is known.
    """

    def __init__(self, *, max_connections: int = MAX_CONNECTIONS) -> None:
        self.is_draining = False
        """The listener is about to close: every answer ends its connection."""
        self._max_connections = max_connections
        self._strangers: dict[Connection, None] = {}
        self._known: dict[Connection, None] = {}
        self._held: dict[Connection, int] = {}
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._strangers) + len(self._known)

    def add(self, connection: "Connection") -> None:
        """Note an open connection."""
        self._strangers[connection] = None
        if len(self) > self._max_connections:
            next(iter(self._strangers)).abort()

    def discard(self, connection: "Connection") -> None:
        """Forget a closed one."""
        self._strangers.pop(connection, None)
        self._known.pop(connection, None)

    def recognise(self, connection: "Connection") -> None:
        """Note that a genuine delivery came on *connection*."""
        if self._strangers.pop(connection, self) is None:
            self._known[connection] = None

    def hold(self, connection: "Connection", size: int) -> None:
        """Note that *connection* now holds *size* bytes of a request that is not whole."""
        self._held_bytes += size - self._held.get(connection, 0)
        if size:
            self._held[connection] = size
        else:
            self._held.pop(connection, None)
        if self._held_bytes > MAX_HELD_BYTES:
            next(iter(self._held)).give_up()

    def all(self) -> list["Connection"]:
        """Return the open connections, as they are now."""
        return [*self._strangers, *self._known]
