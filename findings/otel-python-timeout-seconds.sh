#!/usr/bin/env bash
# OTEL_EXPORTER_OTLP_TIMEOUT=2000 is two seconds for OpenTelemetry in JavaScript, and half an hour for Python's 1.45.2.
#
# OpenTelemetry's specification of environment variables, under "Duration": a whole number of milliseconds. Python's SDK reads
# this one in seconds, as its reference says; its `OTEL_BSP_SCHEDULE_DELAY` is in milliseconds. With one value for all
# programs of a cluster, Python's holds a batch for as long as a collector that accepts connections is silent, and drops the
# spans that come meanwhile. Who sets 10 for Python lets JavaScript's (0.301.1) give up after 10 ms.
#
# Output seen 2026-11-30, how long an exporter waits for a silent collector:
#   JavaScript, 2000: two seconds or more
#   JavaScript, 2: less than a second
#   Python, 2: two seconds or more
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
npm install --silent --no-audit --no-fund @opentelemetry/exporter-trace-otlp-proto@0.301.1 >/dev/null
cat >wait.cjs <<'JAVASCRIPT'
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto')

const start = performance.now()
new OTLPTraceExporter().export([], () => {
  console.log((performance.now() - start) / 1000)
  process.exit()
})
JAVASCRIPT
cat >wait.py <<'PYTHON'
import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

start = time.monotonic()
OTLPSpanExporter().export([])
print(time.monotonic() - start)
PYTHON
cat >show.py <<'PYTHON'
import os
import socket
import subprocess

with socket.create_server(("127.0.0.1", 0)) as silent:
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
    for name, value, *command in (
        ("JavaScript", "2000", "node", "wait.cjs"),
        ("JavaScript", "2", "node", "wait.cjs"),
        ("Python", "2", "venv/bin/python", "wait.py"),
    ):
        os.environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = value
        waited = float(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout)
        print(f"{name}, {value}: {'less than a second' if waited < 1 else 'two seconds or more'}", flush=True)
PYTHON
python3 show.py | tee seen
diff seen - <<'SEEN'
JavaScript, 2000: two seconds or more
JavaScript, 2: less than a second
Python, 2: two seconds or more
SEEN
