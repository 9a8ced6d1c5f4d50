"""A TCP switch in front of real servers: it leads elsewhere, or swallows all that it gets."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Switch:
    """Connections that are made from now on lead to *target*; those that are there stay where they are."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._passes = threading.Event()
        self._passes.set()
        self._is_closed = False
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self) -> None:
        """Pass nothing on, and end nothing: as a machine that vanished, or a network between that did."""
        self._passes.clear()

    def close(self) -> None:
        """Close everything."""
        self._is_closed = True
        self._passes.set()
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._sockets.append(near)
                if self._passes.is_set():
                    self._lead(near)

    def _lead(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            near.close()
            return
        self._sockets.append(far)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pass, args=[source, sink], daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                self._passes.wait()
                sink.sendall(chunk)
        self._passes.wait()
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def switched(target: int) -> Iterator[Switch]:
    """Lead to the port *target* at first."""
    switch = Switch(target)
    try:
        yield switch
    finally:
        switch.close()
