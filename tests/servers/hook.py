"""`python -m tests.servers.hook PORT FILE`: an HTTP consumer in a process of its own, which can be killed.

It writes the Idempotency-Key of each request into FILE, a line each, before it answers.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.servers.process import ServerProcess
from tests.servers.require import free_ports


class Hook(ServerProcess):
    """The consumer, and what it has taken so far."""

    def __init__(self, folder: Path) -> None:
        port = free_ports(1)[0]
        self._file = folder / "hook.txt"
        super().__init__([sys.executable, "-m", "tests.servers.hook", str(port), str(self._file)], port)
        self.url = f"http://127.0.0.1:{port}/hook"

    def taken(self) -> list[str]:
        """Return the ids it answered for, repeats included."""
        return self._file.read_text().split() if self._file.exists() else []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    file = -1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        os.write(self.file, f"{self.headers['Idempotency-Key']}\n".encode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the standard library's name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Serve until killed."""
    port, path = sys.argv[1:]
    _Handler.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    _Server(("127.0.0.1", int(port)), _Handler).serve_forever()


if __name__ == "__main__":
    main()
