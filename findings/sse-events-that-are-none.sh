#!/usr/bin/env bash
# sseclient-py 1.9.0 hands out half an event if a stream breaks off. httpx-sse 0.4.3 hands out events that have no data.
#
# HTML Standard, "Interpreting an event stream": what no empty line ends is discarded at the end of the stream, and a block
# without `data` makes no event. If the connection breaks within an event of several `data` lines, sseclient-py gives the
# first ones as if they were all: a consumer acts on a text that was cut. A server that keeps a stream open with `event:
# ping`, or sends an `id` alone, makes `json.loads("")` fail behind httpx-sse. Node's eventsource-parser 3.1.1 does neither.
#
# Output seen 2026-11-30, the data of the events of two streams:
#   sseclient-py: broken off ['1', '2'], pings ['1']
#   httpx-sse: broken off ['1'], pings ['', '', '1']
#   eventsource-parser: broken off ['1'], pings ['1']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check sseclient-py==1.9.0 httpx-sse==0.4.3 httpx==0.28.1
npm install --silent --no-audit --no-fund eventsource-parser@3.1.1 >/dev/null
printf 'data: 1\n\ndata: 2\n' >broken
printf 'event: ping\n\nid: 7\n\ndata: 1\n\n' >pings
cat >show.py <<'PYTHON'
from pathlib import Path

import httpx
import httpx_sse
import sseclient


def by_sseclient(stream):
    return [event.data for event in sseclient.SSEClient(iter([stream])).events()]


def by_httpx_sse(stream):
    answer = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=stream)
    return [event.data for event in httpx_sse.EventSource(answer).iter_sse()]


for name, read in {"sseclient-py": by_sseclient, "httpx-sse": by_httpx_sse}.items():
    print(f"{name}: broken off {read(Path('broken').read_bytes())}, pings {read(Path('pings').read_bytes())}")
PYTHON
cat >show.mjs <<'JAVASCRIPT'
import { readFileSync } from 'node:fs'
import { createParser } from 'eventsource-parser'

function read(name) {
  const seen = []
  createParser({ onEvent: ({ data }) => seen.push(`'${data}'`) }).feed(readFileSync(name, 'utf8'))
  return `[${seen.join(', ')}]`
}
console.log(`eventsource-parser: broken off ${read('broken')}, pings ${read('pings')}`)
JAVASCRIPT
{
  venv/bin/python show.py
  node show.mjs
} | tee seen
diff seen - <<'SEEN'
sseclient-py: broken off ['1', '2'], pings ['1']
httpx-sse: broken off ['1'], pings ['', '', '1']
eventsource-parser: broken off ['1'], pings ['1']
SEEN
