#!/usr/bin/env bash
# aiohttp 3.14.5 and Tornado 6.6.1 ignore an entity tag in If-Range: a download that is resumed is half old and half new.
#
# RFC 9110, section 13.1.5: if the tag in `If-Range` is not that of the file as it is now, the server must ignore `Range` and
# send the whole file. So a client resumes a download in one request, whether the file has changed or not. Both servers send
# strong entity tags. aiohttp reads only a date in `If-Range`, and Tornado does not look at the header. The client gets a 206,
# and what it puts together was never on the server. Starlette 1.10.0 and Werkzeug 3.1.9, which is Flask's, do as the RFC
# says.
#
# Output seen 2026-11-30, a file of ten "old" that becomes one of ten "new" after the first half was sent:
#   aiohttp 206: oldoldoldoldoldnewnewnewnewnew
#   tornado 206: oldoldoldoldoldnewnewnewnewnew
#   starlette 200: newnewnewnewnewnewnewnewnewnew
#   werkzeug 200: newnewnewnewnewnewnewnewnewnew
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check aiohttp==3.14.5 tornado==6.6.1 starlette==1.10.0 uvicorn==0.54.0 werkzeug==3.1.9
cat >show.py <<'PYTHON'
import asyncio
import http.client
import logging
import os
import socket
import threading
from pathlib import Path

import uvicorn
from aiohttp import web
from starlette.staticfiles import StaticFiles
from tornado.httpserver import HTTPServer
from tornado.web import Application, StaticFileHandler
from werkzeug.serving import make_server
from werkzeug.utils import send_file
from werkzeug.wrappers import Request

FILE = Path("files/file.txt")


def asked(port, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/file.txt", headers=headers)
    answer = connection.getresponse()
    return answer, answer.read().decode()


def show(name, port):
    FILE.write_text("old" * 10)
    answer, _ = asked(port, {"Range": "bytes=0-14"})
    tag = answer.headers["ETag"]
    FILE.write_text("new" * 10)
    os.utime(FILE, (0, 0))  # tags rest on this time
    answer, text = asked(port, {"Range": "bytes=15-", "If-Range": tag})
    print(f"{name} {answer.status}:", text if answer.status == 200 else "old" * 5 + text)



@Request.application
def with_werkzeug(request):
    return send_file(FILE.absolute(), request.environ)


def bound():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener, listener.getsockname()[1]


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
    server = HTTPServer(Application([("/(.*)", StaticFileHandler, {"path": "files"})]))
    server.add_socket(listener)
    await asyncio.to_thread(show, "tornado", port)
    server.stop()

    listener, port = bound()
    server = uvicorn.Server(uvicorn.Config(StaticFiles(directory="files"), log_level="error"))
    serving = asyncio.create_task(server.serve([listener]))
    await asyncio.to_thread(show, "starlette", port)
    server.should_exit = True
    await serving

    logging.getLogger("werkzeug").disabled = True
    server = make_server("127.0.0.1", 0, with_werkzeug)
    threading.Thread(target=server.serve_forever).start()
    await asyncio.to_thread(show, "werkzeug", server.port)
    server.shutdown()


asyncio.run(main())
PYTHON
mkdir files
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
aiohttp 206: oldoldoldoldoldnewnewnewnewnew
tornado 206: oldoldoldoldoldnewnewnewnewnew
starlette 200: newnewnewnewnewnewnewnewnewnew
werkzeug 200: newnewnewnewnewnewnewnewnewnew
SEEN
