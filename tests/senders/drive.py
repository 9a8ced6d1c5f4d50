"""Programs that post webhooks as other teams' software does: one client library each, at its defaults.

Each is started as `PROGRAM FOLDER URL IDLE_S`. It posts FOLDER/NAME.json to URL with the signature in
FOLDER/NAME.sig, prints `NAME STATUS` for each, and uses one connection for all of them unless the table says
otherwise:

    fresh     the first request of a connection
    reused    the next
    idle      after IDLE_S seconds of silence
    chunked   a body of unknown length
    large     200 KiB
"""

import contextlib
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from receiver.signatures import sign
from tests.acceptance.service import SECRET, failed
from tests.servers.require import free_ports, missing

CASES: Final = ("fresh", "reused", "idle", "chunked", "large")
FOLDER: Final = Path(__file__).parent
_SIZES: Final = {"large": 200 * 1024}
_WITHIN_S: Final = 170
_QUICKLY: Final = ("-tags=netgo,osusergo", "-gcflags=all=-l -dwarf=false")
"""Without cgo, inlining and debug data its library compiles in two thirds of the time, once a machine."""


@dataclass(frozen=True)
class Sender:
    """One program, and what it does beside the five cases."""

    name: str
    command: Sequence[str]
    others: Sequence[str] = ()
    connections: int = 1
    """At most so many."""
    folder: Path = FOLDER
    """Where its sources are."""


SENDERS: Final = (
    Sender("curl", ["curl.sh"], ["expect", "upgrade"]),
    Sender("jdk", ["java", "Jdk.java"], ["expect"]),
    Sender("fetch", ["node", "fetch.mjs"], connections=2),  # its second request connects anew, to any server
    Sender("php", ["php", "curl_and_streams.php"], ["stream"], connections=3),
    Sender("ruby", ["ruby", "net_http.rb"], ["expect"]),
    Sender("perl", ["perl", "lwp.pl"]),
    Sender("requests", [sys.executable, "python.py", "requests"]),
    Sender("httpx2", [sys.executable, "python.py", "httpx2"]),
    Sender("aiohttp", [sys.executable, "python.py", "aiohttp"], ["expect"]),
    Sender("go", ["go", "run", *_QUICKLY, "net_http.go"], ["expect"]),
)
"""Those that are quick to install and to start. `make senders` has others beside them."""


@dataclass(frozen=True)
class Sent:
    """What became of the requests of one sender."""

    statuses: dict[str, str]
    connections: int


def send(sender: Sender, port: int, folder: Path, *, idle_s: float) -> Sent:
    """Let *sender* post its cases to the service on *port*, by way of *folder*."""
    program, *arguments = sender.command
    found = shutil.which(sender.folder / program) or shutil.which(program)
    if found is None:
        missing(sender.name, f"no `{program}` on the path", installer=".ci/run")
    _write(sender, folder)
    with counting_relay(port) as relay:
        url = f"http://127.0.0.1:{relay.port}/webhooks/photoverse"
        done = subprocess.run(
            [found, *arguments, str(folder), url, str(idle_s)],
            cwd=sender.folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
        )
    assert done.returncode == 0, done.stderr
    return Sent(dict(line.split() for line in done.stdout.splitlines()), relay.connections)


def _write(sender: Sender, folder: Path) -> None:
    for case in (*CASES, *sender.others):
        body = failed(f"gen_{sender.name}_{case}")
        body = failed(f"gen_{sender.name}_{case}", prompt="x" * max(0, _SIZES.get(case, 3_000) - len(body)))
        (folder / f"{case}.json").write_bytes(body)
        (folder / f"{case}.sig").write_text(sign(body, secret=SECRET, timestamp=int(time.time())))


class Relay(socketserver.ThreadingTCPServer):
    """Hands on every byte both ways, and counts connections."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", free_ports(1)[0]), _Relayed)
        self.to = port
        self.port = int(self.server_address[1])
        self.connections = 0


class _Relayed(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        self.server.connections += 1
        with socket.create_connection(("127.0.0.1", self.server.to)) as there:
            back = threading.Thread(target=_pump, args=(there, self.request))
            back.start()
            _pump(self.request, there)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def counting_relay(port: int) -> Iterator[Relay]:
    """Run a relay to *port* in a thread."""
    with Relay(port) as relay:
        thread = threading.Thread(target=relay.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield relay
        finally:
            relay.shutdown()
            thread.join()
