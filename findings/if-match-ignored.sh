#!/usr/bin/env bash
# Starlette 1.10.0, Falcon 4.4.0 and serve-handler 6.1.8 for Node ignore If-Match: the parts of a download are of two files.
#
# RFC 9110, section 13.1.1: if no tag in `If-Match` is that of the file as it is now, the server must not send it; it answers
# 412. So a client that downloads a video in parts sends the tag of the first one with the others. These servers send strong
# tags, but do not look at the header. If the file is replaced in between, the client gets a 206 for each part, and what it
# puts together was never on the server. aiohttp 3.14.5 does as the RFC says.
#
# Output seen 2026-12-01, a file of ten "old" that becomes one of ten "new" after the first part:
#   starlette 206: oldoldoldoldoldnewnewnewnewnew
#   falcon 206: oldoldoldoldoldnewnewnewnewnew
#   serve-handler 206: oldoldoldoldoldnewnewnewnewnew
#   aiohttp 412
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check starlette==1.10.0 falcon==4.4.0 aiohttp==3.14.5 uvicorn==0.54.0
npm install --silent --no-audit --no-fund serve-handler@6.1.8 >/dev/null
mkdir files
cat >serve.cjs <<'JAVASCRIPT'
const { createServer } = require('http')
const handler = require('serve-handler')

const server = createServer((request, response) => handler(request, response, { public: 'files', etag: true }))
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit()).resume()
JAVASCRIPT
cat >show.py <<'PYTHON'
import asyncio
import logging
import os
import socket
import subprocess
from http.client import HTTPConnection
from pathlib import Path

import falcon.asgi
import uvicorn
from aiohttp import web
from starlette.staticfiles import StaticFiles

FILE = Path("files/file.txt").absolute()
logging.disable()


def asked(port, headers):
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/file.txt", headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def show(name, port):
    FILE.write_text("old" * 10)
    answer, old = asked(port, {"Range": "bytes=0-14"})
    tag = answer.headers["ETag"]
    assert tag.startswith('"')
    FILE.write_text("new" * 10)
    os.utime(FILE, (0, 0))  # tags rest on this time
    answer, text = asked(port, {"Range": "bytes=15-29", "If-Match": tag})
    print(f"{name} {answer.status}" + (f": {old}{text}" if answer.status == 206 else ""), flush=True)


def listener():
    return socket.create_server(("127.0.0.1", 0))


async def show_asgi(name, app):
    with listener() as sock:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off"))
        serving = asyncio.create_task(server.serve([sock]))
        await asyncio.to_thread(show, name, sock.getsockname()[1])
        server.should_exit = True
        await serving


async def main():
    await show_asgi("starlette", StaticFiles(directory="files"))
    app = falcon.asgi.App()
    app.add_static_route("/", FILE.parent)
    await show_asgi("falcon", app)
    with subprocess.Popen(["node", "serve.cjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:
        show("serve-handler", int(node.stdout.readline()))
        node.stdin.close()
    site = web.Application()
    site.router.add_static("/", "files")
    runner = web.AppRunner(site)
    await runner.setup()
    with listener() as sock:
        await web.SockSite(runner, sock).start()
        await asyncio.to_thread(show, "aiohttp", sock.getsockname()[1])
        await runner.cleanup()


asyncio.run(main())
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
starlette 206: oldoldoldoldoldnewnewnewnewnew
falcon 206: oldoldoldoldoldnewnewnewnewnew
serve-handler 206: oldoldoldoldoldnewnewnewnewnew
aiohttp 412
SEEN
