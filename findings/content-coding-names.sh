#!/usr/bin/env bash
# Five HTTP clients hand out gzipped bytes as they are if the server calls the coding x-gzip, or writes it in capitals.
#
# RFC 9110, section 8.4.1: content codings match in any case; section 8.4.1.3: x-gzip should be read as gzip. Apache's
# mod_mime and its documentation use x-gzip. httpx 0.28.1, aiohttp 3.14.5, got 14.6.6 and superagent 10.4.2 do not know it,
# and needle 3.5.0 knows small letters only. None fails: they return the compressed bytes, or a text made of them, with
# status 200. requests 2.34.2, axios 1.21.1, node-fetch 3.3.2 and Node's fetch decode all.
#
# Output seen 2026-11-30, who returns what was compressed:
#   gzip: httpx yes, aiohttp yes, requests yes, got yes, superagent yes, needle yes, axios yes, node-fetch yes, fetch yes
#   x-gzip: httpx no, aiohttp no, requests yes, got no, superagent no, needle yes, axios yes, node-fetch yes, fetch yes
#   GZIP: httpx yes, aiohttp yes, requests yes, got yes, superagent yes, needle no, axios yes, node-fetch yes, fetch yes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check httpx==0.28.1 aiohttp==3.14.5 requests==2.34.2 urllib3==2.8.0
npm install --silent --no-audit --no-fund got@14.6.6 superagent@10.4.2 needle@3.5.0 axios@1.21.1 node-fetch@3.3.2 >/dev/null
cat >show.mjs <<'JAVASCRIPT'
import axios from 'axios'
import got from 'got'
import needle from 'needle'
import fetched from 'node-fetch'
import superagent from 'superagent'

const clients = {
  got: async url => (await got(url)).body,
  superagent: async url => (await superagent.get(url)).text,
  needle: async url => (await needle('get', url)).body.toString(),
  axios: async url => (await axios.get(url)).data,
  'node-fetch': async url => (await fetched(url)).text(),
  fetch: async url => (await fetch(url)).text(),
}
const found = []
for (const [name, get] of Object.entries(clients)) {
  found.push(`${name} ${(await get(process.argv[2])) === 'whole' ? 'yes' : 'no'}`)
}
console.log(found.join(', '))
JAVASCRIPT
cat >show.py <<'PYTHON'
import asyncio
import gzip
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import aiohttp
import httpx
import requests

BODY = gzip.compress(b"whole")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Encoding", self.path[1:])
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.read()


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
for coding in ("gzip", "x-gzip", "GZIP"):
    url = f"http://127.0.0.1:{server.server_port}/{coding}"
    bodies = {
        "httpx": httpx.get(url).content,
        "aiohttp": asyncio.run(with_aiohttp(url)),
        "requests": requests.get(url).content,
    }
    found = [f"{name} {'yes' if body == b'whole' else 'no'}" for name, body in bodies.items()]
    others = subprocess.check_output(["node", "show.mjs", url], text=True).strip()
    print(f"{coding}: {', '.join([*found, others])}", flush=True)
server.shutdown()
PYTHON
NODE_NO_WARNINGS=1 venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
gzip: httpx yes, aiohttp yes, requests yes, got yes, superagent yes, needle yes, axios yes, node-fetch yes, fetch yes
x-gzip: httpx no, aiohttp no, requests yes, got no, superagent no, needle yes, axios yes, node-fetch yes, fetch yes
GZIP: httpx yes, aiohttp yes, requests yes, got yes, superagent yes, needle no, axios yes, node-fetch yes, fetch yes
SEEN
