#!/usr/bin/env bash
# `iter_lines` of httpx 0.28.1, httpx2 2.16.2 and requests 2.34.2 cuts a line of JSON in two at a U+2028 within a string.
#
# RFC 8259, section 7, lets U+2028 and U+0085 stand in a string as they are, and most serialisers leave them so. A stream of
# JSON lines ends its records with "\n" alone (ndjson.org, section 3.1). These methods split as Python's `str.splitlines` does,
# at ten characters. requests does so with `decode_unicode=True` only; its bytes are right. aiohttp 3.14.5 splits at "\n".
# People paste U+2028 from word processors, so such a stream is read well until one of them does.
#
# Output seen 2026-11-30, how many of two records are JSON:
#   httpx 3 lines, 1 JSON
#   httpx2 3 lines, 1 JSON
#   requests, text 3 lines, 1 JSON
#   requests, bytes 2 lines, 2 JSON
#   aiohttp 2 lines, 2 JSON
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check httpx==0.28.1 httpx2==2.16.2 requests==2.34.2 aiohttp==3.14.5
cat >show.py <<'PYTHON'
import asyncio
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import aiohttp
import httpx
import httpx2
import requests

PROMPTS = ["a lighthouse\u2028in fog", "a harbour"]
BODY = "".join(json.dumps({"prompt": prompt}, ensure_ascii=False) + "\n" for prompt in PROMPTS).encode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson; charset=utf-8")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return [line async for line in answer.content]


def is_json(line):
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def show(name, lines):
    lines = list(lines)
    print(name, len(lines), "lines,", sum(map(is_json, lines)), "JSON")


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
for library in (httpx, httpx2):
    with library.stream("GET", url) as answer:
        show(library.__name__, answer.iter_lines())
show("requests, text", requests.get(url, stream=True).iter_lines(decode_unicode=True))
show("requests, bytes", requests.get(url, stream=True).iter_lines())
show("aiohttp", asyncio.run(with_aiohttp(url)))
server.shutdown()
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
httpx 3 lines, 1 JSON
httpx2 3 lines, 1 JSON
requests, text 3 lines, 1 JSON
requests, bytes 2 lines, 2 JSON
aiohttp 2 lines, 2 JSON
SEEN
