"""A relay between a client and a server that cuts the connection after exactly so many bytes."""

import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Cut:
    """The end of one connection."""

    side: Literal["request", "answer"]
    after_bytes: int
    """Of that side, passed on before the end."""
    reset: bool = False


@dataclass
class Relay:
    """Passes everything on, but for the cuts that wait: each new connection takes one."""

    port: int
    cuts: deque[Cut] = field(default_factory=deque)
    passed: dict[str, int] = field(default_factory=lambda: {"request": 0, "answer": 0})
    """Bytes of the latest connection."""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def relay(target_port: int) -> Iterator[Relay]:
    listener = socket.create_server(("127.0.0.1", 0))
    made = Relay(listener.getsockname()[1])
    pairs: list[_Pair] = []

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            pairs.append(_Pair(near, target_port, made))

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield made
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for pair in pairs:
            pair.end(reset=False)
        for pair in pairs:
            pair.join()


class _Pair:
    """One connection to the client and its counterpart to the server."""

    def __init__(self, near: socket.socket, target_port: int, owner: Relay) -> None:
        self._near = near
        self._far = socket.create_connection(("127.0.0.1", target_port))
        self._owner = owner
        self._cut = owner.cuts.popleft() if owner.cuts else None
        owner.passed.update(request=0, answer=0)
        self._threads = [
            threading.Thread(target=self._pass, args=(self._near, self._far, "request")),
            threading.Thread(target=self._pass, args=(self._far, self._near, "answer")),
        ]
        for thread in self._threads:
            thread.start()

    def end(self, *, reset: bool) -> None:
        for end in (self._near, self._far):
            with suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # Wakes whoever reads from it, without which closing it would not reach the other side.
                end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
            end.close()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(5)

    def _pass(self, source: socket.socket, target: socket.socket, side: str) -> None:
        cut = self._cut if self._cut is not None and self._cut.side == side else None
        left = None if cut is None else cut.after_bytes
        with suppress(OSError):
            # Nothing is cut before it comes: an answer tells that the server has done what it was asked.
            while chunk := source.recv(65536):
                target.sendall(chunk[:left])
                self._owner.passed[side] += len(chunk[:left])
                left = None if left is None else max(left - len(chunk), 0)
                if left == 0:
                    break
        self.end(reset=cut is not None and cut.reset)
