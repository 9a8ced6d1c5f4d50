#!/usr/bin/env bash
# requests 2.34.2 takes an interim response for the answer: 103 Early Hints becomes the status, and the answer is lost.
#
# RFC 9110, section 15.2: a client must be able to parse interim (1xx) responses before the final one, also unexpected ones.
# Servers and CDNs send 103 (RFC 8297) on their own. urllib3 2.8.0 rests on Python's http.client, which skips 100 alone. So a
# webhook that was answered with 200 counts as failed to its sender, or as delivered: `raise_for_status` and `ok` let
# 103 pass. httpx 0.28.1, aiohttp 3.14.5 and Node's fetch return the final response.
#
# Output seen 2026-11-30, of a 103 before "200 OK":
#   requests 103 ok=True ''
#   urllib3 103 ''
#   httpx 200 'done'
#   aiohttp 200 'done'
#   node 200 'done'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check requests==2.34.2 urllib3==2.8.0 httpx==0.28.1 aiohttp==3.14.5
cat >show.py <<'PYTHON'
import asyncio
import socket
import subprocess
from threading import Thread

import aiohttp
import httpx
import requests
import urllib3

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
FINAL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone"


def serve(listener):
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(EARLY + FINAL)


async def with_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


listener = socket.create_server(("127.0.0.1", 0))
Thread(target=serve, args=(listener,), daemon=True).start()
url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
answer = requests.get(url)
answer.raise_for_status()
print("requests", answer.status_code, f"ok={answer.ok}", repr(answer.text))
answer = urllib3.PoolManager().request("GET", url)
print("urllib3", answer.status, repr(answer.data.decode()))
answer = httpx.get(url)
print("httpx", answer.status_code, repr(answer.text))
status, text = asyncio.run(with_aiohttp(url))
print("aiohttp", status, repr(text))
node = "fetch(process.argv[1]).then(async a => console.log(a.status, `'${await a.text()}'`))"
print("node", subprocess.check_output(["node", "-e", node, url], text=True).strip())
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
requests 103 ok=True ''
urllib3 103 ''
httpx 200 'done'
aiohttp 200 'done'
node 200 'done'
SEEN
