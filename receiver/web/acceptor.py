"""Accepts connections from the kernel's queue, and serves each network in turn."""

import asyncio
import errno
import math
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from receiver.web.fair_queue import FairQueue

_TAKING_S: Final = 0.01
"""Time that emptying the kernel's queue may have in one turn of the event loop: enough for a thousand."""
_SERVING_S: Final = 0.001
"""Time for serving them, and for finding those whose client has left."""
_MOST_SERVED: Final = 8
"""Connections that begin to be served in one turn: it costs ten times as much as taking one."""
_PAUSE_S: Final = 0.1
"""For so long none is taken after the system had no room for one."""
_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Accepts the connections of one listening socket.

    asyncio can do that, but uvloop takes one in a turn: a flood fills the kernel's queue, which then drops
    who comes next, for a second. Here the kernel's queue is emptied first, which costs little. Whose client
    has left by then is not served. Of the others each network has its turn, so that who comes behind
    a thousand of one other network does not wait for them.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        *,
        most_waiting: int,
        is_crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        """Serve each by its own *protocol*, one by one while those served before do not get their turn.

        Beyond *most_waiting*, the first of the network that has most goes.
        """
        self._listener = listener
        self._protocol = protocol
        self._most_waiting = most_waiting
        self._is_crowded = is_crowded
        self._loop = asyncio.get_running_loop()
        self._waiting: FairQueue[socket.socket] = FairQueue()
        self._serving: set[asyncio.Future[list[Any]]] = set()
        self._resuming: asyncio.Handle | None = None
        self._next: asyncio.Handle | None = None
        listener.settimeout(0)

    def start(self) -> None:
        """Accept connections from now on."""
        self._loop.add_reader(self._listener, self._take_some)

    async def stop(self) -> None:
        """Close the listener, and serve those that wait: the kernel would reset them."""
        self._loop.remove_reader(self._listener)
        self._take(until=math.inf)
        self._listener.close()
        for handle in (self._resuming, self._next):
            if handle is not None:
                handle.cancel()
        self._serve(math.inf, until=math.inf)
        await asyncio.gather(*self._serving)

    def _take_some(self) -> None:
        """Take those that wait, for a moment; the event loop calls again if there are more."""
        self._take(until=time.perf_counter() + _TAKING_S)
        self._serve_soon()

    def _serve_soon(self) -> None:
        if self._waiting and self._next is None:
            self._next = self._loop.call_soon(self._serve_some)

    def _serve_some(self) -> None:
        self._next = None
        self._serve(1 if self._is_crowded() else _MOST_SERVED, until=time.perf_counter() + _SERVING_S)
        self._serve_soon()

    def _take(self, *, until: float) -> None:
        """Empty the kernel's queue."""
        try:
            while time.perf_counter() < until:
                connection, address = self._listener.accept()
                self._waiting.put(address[0], connection)
                if len(self._waiting) > self._most_waiting:
                    self._waiting.drop().close()
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._loop.remove_reader(self._listener)
                self._resuming = self._loop.call_later(_PAUSE_S, self.start)

    def _serve(self, most: float, *, until: float) -> None:
        """Serve some of those that wait, together: each takes two turns of the event loop."""
        connecting: list[Coroutine[Any, Any, Any]] = []
        while self._waiting and len(connecting) < most and time.perf_counter() < until:
            one = self._waiting.take()
            if _has_left(one):
                one.close()
            else:
                connecting.append(self._loop.connect_accepted_socket(self._protocol, one))
        if connecting:
            serving = asyncio.gather(*connecting, return_exceptions=True)
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)


def _has_left(connection: socket.socket) -> bool:
    """Whether its client reset it, or hung up without a word: there is nothing to answer."""
    if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        return True
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
