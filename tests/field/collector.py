"""Traces through the OpenTelemetry Collector: what it takes and hands on, and what its death costs.

    python -m tests.field.collector        prints its rows of docs/field.md

FIELD_BIN names the folder of `collector`, or it is on the PATH. Building it takes Go and half an hour of one
busy core: `go install go.opentelemetry.io/collector/cmd/builder@v0.161.0`, then
`builder --config tests/field/collector.yaml`, which puts it into ./collector.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from receiver.sandbox import Knobs, Sandbox
from tests.acceptance.service import MORTAL, SECRET, Service, failed, kill, service
from tests.servers.collector import Collector, collector
from tests.servers.require import free_ports, missing
from tests.waiting.blocking import until

_EVENTS: Final = 50
_WHOLE: Final = {
    "generate image": 1,
    "POST /generate/image": 1,
    "POST /webhooks/{source}": 1,
    "mirror": 1,
    "send messages": 1,
}


def _program() -> str:
    path = f"{os.environ.get('FIELD_BIN', '')}:{os.environ['PATH']}"
    how = "builder --config tests/field/collector.yaml"
    return shutil.which("collector", path=path) or missing("collector", "no such program", installer=how)


class _Real:
    """The collector's process, which hands everything on to *behind*."""

    def __init__(self, folder: Path, behind: str) -> None:
        self.port = free_ports(1)[0]
        self._config = folder / "collector-config.yaml"
        self._config.write_text(
            f"receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{self.port}'}}}}}}}}\n"
            f"exporters: {{otlp_http: {{endpoint: '{behind}'}}}}\n"
            "service:\n"
            "  telemetry: {metrics: {level: none}}\n"
            "  pipelines: {traces: {receivers: [otlp], exporters: [otlp_http]}}\n"
        )
        self._log = folder / "collector.log"
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([_program(), "--config", self._config], stdout=log, stderr=log)
        until(self._listens, seconds=60)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def _running() -> Iterator[tuple[_Real, Collector, Service]]:
    with (
        tempfile.TemporaryDirectory() as name,
        collector() as behind,
        Sandbox(knobs=Knobs(image_delay_s=0.2, duplicate_rate=0)) as sandbox,
    ):
        real = _Real(Path(name), behind.url)
        settings = {
            **MORTAL,
            "RECEIVER_WEBHOOK_SECRETS": f"{sandbox.webhook_secret},{SECRET.decode()}",
            "RECEIVER_API_KEY": sandbox.key(),
            "RECEIVER_API_BASE_URL": sandbox.url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{real.port}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        try:
            with service(Path(name), **settings) as receiver:
                yield real, behind, receiver
        finally:
            real.kill()


def main() -> int:
    """Print the rows; return how many are wrong."""
    try:
        program = _program()
    except pytest.skip.Exception as error:
        sys.stderr.write(f"SKIPPED collector: {error}\n")
        return 0
    version = subprocess.check_output([program, "--version"], text=True).split()[-1]
    rows = []
    with _running() as (real, behind, receiver):
        process = receiver.start()
        url = f"http://127.0.0.1:{receiver.port}/webhooks/photoverse"
        receiver.run("image", "a city", "--webhook-url", url)
        (message,) = until(receiver.messages, seconds=60)
        until(lambda: len(behind.spans) >= len(_WHOLE), seconds=60)
        told = Counter(one.name for one in behind.spans)
        traces = {one.trace_id for one in behind.spans}
        ok = told == _WHOLE and traces == {message["traceparent"].split("-")[1]}
        rows.append(
            (ok, "`receiver image` until its message", f"{told.total()} spans in {len(traces)} trace")
        )

        real.kill()
        answers = {receiver.deliver(failed(f"gen_{number}")).status for number in range(_EVENTS)}
        until(lambda: len(receiver.messages()) == 1 + _EVENTS, seconds=60)
        until(lambda: receiver.logged("span export failed"), seconds=60)
        real.start()
        receiver.deliver(failed("gen_after"))
        until(lambda: _of(behind, "gen_after") == 3, seconds=60)
        lines = len(receiver.logged("span export failed"))
        came = sum(_of(behind, f"gen_{number}") > 0 for number in range(_EVENTS))
        ok = answers == {200} and lines == 1
        what = f"{_EVENTS} of {_EVENTS} events forwarded, traces of {came} came, {lines} line in the log"
        rows.append((ok, f"killed for {_EVENTS} deliveries, and started again", what))
        kill(process)
    for ok, situation, what in rows:
        sys.stdout.write(f"| {version} | {situation} | {what}{'' if ok else ' **WRONG**'} |\n")
    return sum(not ok for ok, _, _ in rows)


def _of(behind: Collector, generation_id: str) -> int:
    return sum(one.attributes["receiver.generation.id"] == generation_id for one in behind.spans)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
