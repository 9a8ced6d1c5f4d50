#!/usr/bin/env bash
# Asked for the last 20 bytes of a file of ten, Express 5.3.0 and Flask 3.1.3 answer 416.
#
# RFC 9110, section 14.1.2: of a file that is shorter than the suffix asked for, the whole is sent. A reader of the end of a
# Parquet, ZIP or MP4 file asks for more than it needs, and so fails on small files. Section 14.2: a server must ignore a
# range unit that it does not know, and may ignore `Range` altogether. So the answer to several ranges is the parts or the
# whole file. aiohttp 3.14.5 and Flask answer 416 to both, and Starlette 1.10.0 400 to an unknown unit. send 1.2.1 serves the
# files of Express, Werkzeug 3.1.9 those of Flask.
#
# Output seen 2026-11-30, answers to `bytes=-20`, `bytes=0-1,4-5` and `items=0-1`:
#   express 416, 200, 200
#   flask 416, 416, 416
#   aiohttp 206, 416, 416
#   starlette 206, 206, 400
#   tornado 200, 200, 200
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check flask==3.1.3 werkzeug==3.1.9 aiohttp==3.14.5 starlette==1.10.0 uvicorn==0.54.0 \
  tornado==6.6.1
npm install --silent --no-audit --no-fund express@5.3.0 send@1.2.1 >/dev/null
mkdir files
printf 0123456789 >files/file.txt
cat >serve.mjs <<'JAVASCRIPT'
import express from 'express'

const server = express().use(express.static('files')).listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.resume().on('end', () => process.exit())
JAVASCRIPT
cat >show.py <<'PYTHON'
import asyncio
import http.client
import logging
import socket
import subprocess
import threading

import flask
import uvicorn
from aiohttp import web
from starlette.staticfiles import StaticFiles
from tornado.httpserver import HTTPServer
from tornado.web import Application, StaticFileHandler
from werkzeug.serving import make_server


def show(name, port):
    answers = []
    for wanted in ("bytes=-20", "bytes=0-1,4-5", "items=0-1"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/file.txt", headers={"Range": wanted})
        answers.append(f"{connection.getresponse().status}")
        connection.close()
    print(name, ", ".join(answers), flush=True)


def bound():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener, listener.getsockname()[1]


with subprocess.Popen(["node", "serve.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
    show("express", int(server.stdout.readline()))
    server.stdin.close()

logging.getLogger("werkzeug").disabled = True
server = make_server("127.0.0.1", 0, flask.Flask("show", static_folder="files", static_url_path="", root_path="."))
threading.Thread(target=server.serve_forever).start()
show("flask", server.port)
server.shutdown()


async def main():
    listener, port = bound()
    application = web.Application()
    application.router.add_static("/", "files")
    runner = web.AppRunner(application)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    await asyncio.to_thread(show, "aiohttp", port)
    await runner.cleanup()

    listener, port = bound()
    server = uvicorn.Server(uvicorn.Config(StaticFiles(directory="files"), log_level="error"))
    serving = asyncio.create_task(server.serve([listener]))
    await asyncio.to_thread(show, "starlette", port)
    server.should_exit = True
    await serving

    listener, port = bound()
    server = HTTPServer(Application([("/(.*)", StaticFileHandler, {"path": "files"})]))
    server.add_socket(listener)
    await asyncio.to_thread(show, "tornado", port)
    server.stop()


asyncio.run(main())
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
express 416, 200, 200
flask 416, 416, 416
aiohttp 206, 416, 416
starlette 206, 206, 400
tornado 200, 200, 200
SEEN
