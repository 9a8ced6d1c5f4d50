"""A CDN on loopback: serves one small real PNG under any path, and counts who asks."""

import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = b"".join(
    (
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        _chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00")),
        _chunk(b"IEND", b""),
    )
)


class AssetHost(ThreadingHTTPServer):
    """Answers every GET with `PNG`, or with *status* while that is not 200; a path of /hang… waits."""

    daemon_threads = True

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), _Handler)
        self.asked: list[str] = []
        self.status = 200
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: AssetHost

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/hang"):
            self.server.released.wait(60)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(PNG)))
        self.end_headers()
        self.wfile.write(PNG)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the standard library's name
        """Say nothing."""


@contextmanager
def serving(address: str = "127.0.0.1") -> Iterator[AssetHost]:
    """Serve assets on a free port of a loopback *address*."""
    host = AssetHost(address)
    thread = threading.Thread(target=host.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.released.set()
        host.shutdown()
        host.server_close()
        thread.join()


@pytest.fixture
def asset_host() -> Iterator[AssetHost]:
    with serving() as host:
        yield host
