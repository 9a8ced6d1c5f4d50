"""A server at the level of sockets: it counts what it was asked, and answers however badly it is told to."""

import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Behaviour = Callable[[socket.socket], None]


def answer(status: int = 200, body: bytes = b"", *headers: str) -> Behaviour:
    """Answer properly, and keep the connection."""
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return lambda connection: connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)


def close(connection: socket.socket) -> None:
    """Close without a word."""
    connection.close()


def reset(connection: socket.socket) -> None:
    """Send a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def cut(connection: socket.socket) -> None:
    """Promise a hundred bytes, send ten."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b'{"id": "ge')
    connection.close()


def stall(connection: socket.socket) -> None:
    """Say nothing until the other side gives up."""
    connection.recv(1)


def drip(connection: socket.socket) -> None:
    """Send a byte at a time, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not _never.wait(0.02):
        connection.sendall(b" ")


def drip_head(connection: socket.socket) -> None:
    """Send the headers a byte at a time, for three seconds, and then a whole answer."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(150):
        _never.wait(0.02)
        connection.sendall(b"x")
    connection.sendall(b"\r\nContent-Length: 0\r\n\r\n")


_never = threading.Event()


@dataclass
class RawServer:
    """Behaves as told, one behaviour for each request; the last one goes on for ever."""

    port: int
    behaviours: list[Behaviour]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def next_behaviour(self) -> Behaviour:
        return self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]


@contextmanager
def raw_server(
    *behaviours: Behaviour, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[RawServer]:
    listener = socket.create_server(("127.0.0.1", port))
    server = RawServer(listener.getsockname()[1], list(behaviours))
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            connections.append(connection)
            threads.append(threading.Thread(target=_converse, args=(server, connection, tls)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)


def _converse(server: RawServer, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
    try:
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True)
        while (request := _read_request(connection)) is not None:
            server.requests.append(request)
            server.next_behaviour()(connection)
    except OSError:
        pass
    finally:
        connection.close()


def _read_request(connection: socket.socket) -> bytes | None:
    data = b""
    while True:
        chunk = connection.recv(65536)
        data += chunk
        head, separator, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if separator and len(body) >= int(length[1] if length else 0):
            return data
        if not chunk or not data[:1].isalpha():
            return None
