"""`make trace`: what of `receiver` a webhook passes through until its message is in a queue, and noted to be.

`receiver serve` runs in this process. Once it is warm, one delivery is followed through every thread: the
files entered and the functions called, each counted once. It comes in one piece, over a connection that was
used before, as senders keep theirs. Duties that happen to run meanwhile count, too, so the least of some
rounds is taken.
"""

import http.client
import json
import os
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import chdir, closing
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

import receiver
from receiver.cli.connection import load_settings_and_log
from receiver.cli.process import run
from receiver.signatures import sign
from tests.acceptance.service import SECRET, Service, completed, failed
from tests.servers.assets import AssetHost, serving
from tests.waiting.blocking import until

_PACKAGE: Final = str(Path(receiver.__file__).parent)
_NO_FUNCTIONS: Final = {"<module>", "<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<lambda>"}
_ROUNDS: Final = 5
_QUIET_S: Final = 0.2
"""The way has ended when nothing was called for so long."""
_REQUEST: Final = b"\r\n".join(
    (
        *(b"POST /webhooks/photoverse HTTP/1.1", b"Host: localhost"),
        *(b"X-Webhook-Signature: %b", b"Content-Length: %d", b"", b"%b"),
    )
)
_DELIVERED: Final = "SELECT 1 FROM delivery WHERE event_id = ? AND state = 'delivered'"


class Trace(NamedTuple):
    """The way of one delivery."""

    files: dict[str, list[str]]
    """What was called, by file."""

    @property
    def functions(self) -> int:
        """How many functions were called."""
        return sum(map(len, self.files.values()))


class Tracer:
    """Notes, while it records, what is called in any thread."""

    def __init__(self) -> None:
        self._seen: set[CodeType] = set()
        self._records = False
        self._called_at = 0.0

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Note a call. See `sys.setprofile`."""
        if self._records and event == "call":
            self._seen.add(frame.f_code)
            self._called_at = time.monotonic()

    def trace(self, work: Callable[[], object]) -> Trace:
        """Return what is called from the begin of *work* until all is quiet."""
        self._seen.clear()
        self._records = True
        work()
        until(lambda: time.monotonic() > self._called_at + _QUIET_S)
        self._records = False
        files: dict[str, list[str]] = {}
        for code in self._seen:
            if code.co_filename.startswith(_PACKAGE) and code.co_name not in _NO_FUNCTIONS:
                files.setdefault(code.co_filename.removeprefix(_PACKAGE + "/"), []).append(code.co_qualname)
        return Trace(files)


def trace(folder: Path, host: AssetHost) -> dict[str, Trace]:
    """Run `receiver serve` in *folder*; return the way of an event without an asset and of one with it."""
    service = Service(folder, {"RECEIVER_POLL_S": "60"})
    os.environ |= service._environment()
    tracer, found = Tracer(), {}

    def deliver() -> None:
        sys.setprofile(None)  # this thread is the sender's
        try:
            until(service._answers)
            without = [failed(f"gen_{number}") for number in range(_ROUNDS)]
            with_one = [completed(f"gen_a_{number}", f"{host.url}/{number}.png") for number in range(_ROUNDS)]
            with socket.create_connection(("127.0.0.1", service.port)) as kept:
                _forward(service, kept, failed("gen_warm"))
                for name, bodies in {"without an asset": without, "with an asset": with_one}.items():
                    ways = [tracer.trace(partial(_forward, service, kept, body)) for body in bodies]
                    found[name] = min(ways, key=lambda way: way.functions)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.setprofile(tracer)
    sys.setprofile(tracer)
    threading.Thread(target=deliver).start()
    try:
        with chdir(folder):
            run(
                load_settings_and_log(level="WARNING"),
                with_web=True,
                with_worker=True,
                admin="if asked for",
                pull="if asked for",
            )
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return found


def _forward(service: Service, kept: socket.socket, body: bytes) -> None:
    signature = sign(body, secret=SECRET, timestamp=int(time.time())).encode()
    kept.sendall(_REQUEST % (signature, len(body), body))
    answer = http.client.HTTPResponse(kept)
    answer.begin()
    event_id = json.loads(answer.read())["event_id"]
    until(lambda: service.forwarded(event_id))
    with closing(sqlite3.connect(service.folder / "receiver.db")) as file:
        until(lambda: file.execute(_DELIVERED, (event_id,)).fetchall())


def main() -> None:
    """Trace, and print what was called in each file."""
    with tempfile.TemporaryDirectory() as folder, serving() as host:
        found = trace(Path(folder), host)
    for name, way in found.items():
        print(f"\n{name}: {len(way.files)} files, {way.functions} functions")
        for file, functions in sorted(way.files.items()):
            print(f"  {file}: {', '.join(sorted(functions))}")


if __name__ == "__main__":
    main()
