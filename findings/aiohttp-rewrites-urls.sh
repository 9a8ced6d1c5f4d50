#!/usr/bin/env bash
# aiohttp 3.14.5 does not send the URL that it is given: it decodes %2C, %3A, %27 and other escapes. Four other clients do
# not.
#
# RFC 3986, section 2.2: a reserved character and its escape are not equivalent, and only escapes of letters, digits and
# `-._~` may be decoded (6.2.2.2). aiohttp (its yarl) decodes whatever needs no escape by its own rules. Where a link is
# signed as text, the sender has signed `a%2Cb` and the server sees `a,b`: it answers 403, and nothing says why.
# `yarl.URL(text, encoded=True)` keeps the text. The two for Node escape a `'` in the query and drop a `?` that nothing
# follows; requests drops it too. httpx changes none of these.
#
# Output seen 2026-11-30, the targets that a server gets where they differ from what was asked for:
#   aiohttp: /a%2Cb%3A1 -> /a,b:1
#   aiohttp: /a%27s%20%28copy%29.png -> /a's%20(copy).png
#   aiohttp: /a?x=%2C%3A%2F%40 -> /a?x=,:/@
#   aiohttp: /a? -> /a
#   requests: /a? -> /a
#   axios: /a?x='1' -> /a?x=%271%27
#   axios: /a? -> /a
#   got: /a?x='1' -> /a?x=%271%27
#   got: /a? -> /a
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check aiohttp==3.14.5 yarl==1.25.1 requests==2.34.2 httpx==0.28.1
npm install --silent --no-audit --no-fund axios@1.21.1 got@14.6.6 >/dev/null
cat >ask.mjs <<'JAVASCRIPT'
import axios from 'axios'
import got from 'got'

const [, , name, ...urls] = process.argv
for (const url of urls) await { axios, got }[name](url)
JAVASCRIPT
cat >show.py <<'PYTHON'
import asyncio
import socket
import subprocess
import threading

import aiohttp
import httpx
import requests

ASKED = ["/a%2Cb%3A1", "/a%27s%20%28copy%29.png", "/a?x=%2C%3A%2F%40", "/a?x='1'", "/a?"]
listener = socket.create_server(("127.0.0.1", 0))
base = f"http://127.0.0.1:{listener.getsockname()[1]}"
seen = []


def serve():
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as request:
            seen.append(next(request).decode().split(" ")[1])
            while next(request).strip():
                pass
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


async def with_aiohttp(urls):
    async with aiohttp.ClientSession() as session:
        for url in urls:
            await (await session.get(url)).read()


def show(name, ask):
    seen.clear()
    ask([base + target for target in ASKED])
    for asked, got in zip(ASKED, seen, strict=True):
        if got != asked:
            print(f"{name}: {asked} -> {got}")


threading.Thread(target=serve, daemon=True).start()
show("aiohttp", lambda urls: asyncio.run(with_aiohttp(urls)))
show("requests", lambda urls: [requests.get(url) for url in urls])
show("httpx", lambda urls: [httpx.get(url) for url in urls])
for name in ("axios", "got"):
    show(name, lambda urls: subprocess.run(["node", "ask.mjs", name, *urls], check=True))
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
aiohttp: /a%2Cb%3A1 -> /a,b:1
aiohttp: /a%27s%20%28copy%29.png -> /a's%20(copy).png
aiohttp: /a?x=%2C%3A%2F%40 -> /a?x=,:/@
aiohttp: /a? -> /a
requests: /a? -> /a
axios: /a?x='1' -> /a?x=%271%27
axios: /a? -> /a
got: /a?x='1' -> /a?x=%271%27
got: /a? -> /a
SEEN
