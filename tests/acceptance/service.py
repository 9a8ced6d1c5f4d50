"""The product as its users run it: real processes, a real folder, real HTTP."""

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from receiver.signatures import sign
from tests.answer import Answer
from tests.servers import warm
from tests.servers.require import free_ports
from tests.stored import migrated
from tests.waiting.blocking import PATIENCE_S, until

SECRET = b"whsec_acceptance_0123456789"
Running = warm.Process | subprocess.Popen[bytes]

MORTAL: Final = {"RECEIVER_LEASE_S": "2"}
"""For tests that kill: others soon take over. A worker that stalls for so long does its work twice."""


@dataclass
class Service:
    """`receiver` in one working directory, started and killed as often as a test likes."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_ports(1)[0])
    python: str | None = None
    """An interpreter to start anew; another one's environment may have another build of `receiver`."""
    processes: list[Running] = field(default_factory=list)

    def start(
        self, command: str = "serve", *, crash_at: str | None = None, within_s: float = 100.0
    ) -> Running:
        """Start `receiver COMMAND`; with *crash_at*, it kills itself at that point of its work."""
        program = ["tests.acceptance.crashing", crash_at] if crash_at else ["receiver"]
        process = self._start(*program, command)
        self.processes.append(process)
        if command not in ("worker", "pull"):
            until(lambda: process.poll() is not None or self._answers(), seconds=within_s)
        assert process.poll() is None, self.log()
        return process

    def run(self, *words: str) -> None:
        """Run a `receiver` command that ends by itself."""
        done = self.command(*words)
        assert done.returncode == 0, done.stderr

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a `receiver` command to its end, whatever that is."""
        if self.python is None:
            return warm.run(["receiver", *words], cwd=self.folder, env=self._environment(), timeout=100)
        return subprocess.run(
            [self.python, "-m", "receiver", *words],
            cwd=self.folder,
            env=self._environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
        )

    def end(self) -> None:
        """Kill whatever still runs."""
        for process in self.processes:
            process.kill()
            process.wait()

    def deliver(self, body: bytes, *, source: str = "photoverse", **headers: str) -> Answer:
        """Post *body*, genuinely signed unless *headers* say otherwise."""
        signature = sign(body, secret=SECRET, timestamp=int(time.time()))
        return self.request(
            "POST", f"/webhooks/{source}", body, {"X-Webhook-Signature": signature, **headers}
        )

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = {}) -> Answer:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def messages(self, name: str = "messages") -> list[dict[str, Any]]:
        """Return what the file destination *name* holds."""
        return [json.loads(line) for line in _whole_lines(self.folder / f"{name}.jsonl")]

    def forwarded(self, event_id: str, name: str = "messages") -> list[dict[str, Any]]:
        """Return the messages of one event."""
        return [message for message in self.messages(name) if message["id"] == event_id]

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Look into the SQLite file."""
        with closing(sqlite3.connect(self.folder / "receiver.db", timeout=PATIENCE_S)) as database:
            return database.execute(query, parameters).fetchall()

    def delivered(self) -> int:
        """Count the deliveries that are noted as confirmed, which is a little later than they are made."""
        [(count,)] = self.rows("SELECT count(*) FROM delivery WHERE state = 'delivered'")
        return int(count)

    def log(self) -> str:
        """Return everything the processes wrote."""
        return (self.folder / "log.jsonl").read_text()

    def logged(self, fact: str) -> list[dict[str, Any]]:
        """Return the log lines that state *fact*."""
        lines = _whole_lines(self.folder / "log.jsonl")
        told = (json.loads(line) for line in lines if f'"{fact}"' in line and line.startswith("{"))
        return [line for line in told if line["event"] == fact]

    def _start(self, *words: str) -> Running:
        with (self.folder / "log.jsonl").open("ab") as log:
            if self.python is None:
                file = log.fileno()
                return warm.start(words, cwd=self.folder, env=self._environment(), stdout=file, stderr=file)
            return subprocess.Popen(
                [self.python, "-m", *words],
                cwd=self.folder,
                env=self._environment(),
                stdout=log,
                stderr=log,
            )

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/healthz").status == 200
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RECEIVER_")}
        return {
            **inherited,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "RECEIVER_WEBHOOK_SECRETS": SECRET.decode(),
            "RECEIVER_PORT": str(self.port),
            "RECEIVER_FETCH_ALLOW": "127.0.0.0/8",
            "RECEIVER_ASSETS_URL": f"file://{self.folder}/assets",
            "RECEIVER_DATABASE_URL": f"sqlite:///{self.folder}/receiver.db",
            "RECEIVER_DESTINATIONS__MESSAGES__URL": f"file://{self.folder}/messages.jsonl",
            "RECEIVER_POLL_S": "0.1",
            **self.settings,
        }


def _whole_lines(path: Path) -> list[str]:
    """Return the lines of *path* without those that are being written, or whose writer was killed."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text(errors="replace").rpartition("\n")
    return [line for line in whole.split("\n") if line.endswith("}")]


@contextmanager
def service(folder: Path, *, python: str | None = None, **settings: str) -> Iterator[Service]:
    """Offer a service that is ended with the block. Its SQLite is migrated: that is half of a start."""
    offered = Service(folder, settings, python=python)
    if python is None and not (folder / "receiver.db").exists():
        migrated(folder / "receiver.db")
    try:
        yield offered
    finally:
        offered.end()


def kill(process: Running) -> None:
    """End *process* as a power cut would."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def completed(generation_id: str, output_url: str | None, **data: Any) -> bytes:
    """Write a `generation.completed` body as the provider does."""
    return _body("completed", generation_id, output_url=output_url, **data)


def failed(generation_id: str, **data: Any) -> bytes:
    """Write a `generation.failed` body as the provider does."""
    return _body("failed", generation_id, **data)


def _body(status: str, generation_id: str, **data: Any) -> bytes:
    document = {
        "event": f"generation.{status}",
        "data": {
            "id": generation_id,
            "type": "image",
            "status": status,
            "prompt": "A futuristic city at sunset",
            "created_at": "2025-01-09T12:00:00Z",
            "completed_at": "2025-01-09T12:00:15Z",
            **data,
        },
        "created_at": "2025-01-09T12:00:15Z",
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
