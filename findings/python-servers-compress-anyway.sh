#!/usr/bin/env bash
# Starlette 1.10.0, Django 5.2.19, aiohttp 3.14.5, Tornado 6.6.1 and Litestar 2.25.0 compress for a client that refuses gzip.
#
# RFC 9110, section 12.5.3: a coding that is listed with a qvalue of 0 is not acceptable. The middlewares of these frameworks
# only look for the word "gzip" in `Accept-Encoding`. aiohttp even prefers the refused deflate to the accepted gzip. A client
# that refuses gzip, such as one that hashes what it receives, gets gzip, and with it a weak entity tag or none. A header of
# `identity` alone prevents it. Express with compression 1.8.2, and gorilla/handlers 1.5.2 for Go, follow the specification.
#
# Output seen 2026-12-01, the `Content-Encoding` for each `Accept-Encoding`:
#   gzip: starlette gzip, django gzip, aiohttp gzip, tornado gzip, litestar gzip, compression gzip, gorilla gzip
#   gzip;q=0: starlette gzip, django gzip, aiohttp gzip, tornado gzip, litestar gzip, compression none, gorilla none
#   gzip, deflate;q=0: starlette gzip, django gzip, aiohttp deflate, tornado gzip, litestar gzip, compression gzip, gorilla gzip
#   identity: starlette none, django none, aiohttp none, tornado none, litestar none, compression none, gorilla none
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check starlette==1.10.0 django==5.2.19 aiohttp==3.14.5 tornado==6.6.1 litestar==2.25.0 uvicorn==0.54.0
npm install --silent --no-audit --no-fund express@5.3.0 compression@1.8.2 >/dev/null
cat >django_app.py <<'PYTHON'
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse(bytes(5000)))]
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=["django.middleware.gzip.GZipMiddleware"])
application = get_wsgi_application()
PYTHON
cat >show.py <<'PYTHON'
import asyncio
import logging
import subprocess
import threading
from http.client import HTTPConnection
from wsgiref.simple_server import WSGIRequestHandler, make_server

import uvicorn
from aiohttp import web
from django_app import application
from litestar import Litestar, get
from litestar.config.compression import CompressionConfig
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Route
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

BODY = bytes(5000)
logging.disable()


class Silent(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Tornado(RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/plain")
        self.write(BODY)


@get("/", media_type="text/plain", sync_to_thread=False)
def litestar() -> bytes:
    return BODY


async def aiohttp(_):
    response = web.Response(body=BODY)
    response.enable_compression()
    return response


async def serve(app):
    sockets = bind_sockets(0, "127.0.0.1")
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets))
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    return sockets[0].getsockname()[1]


def coding(port, accepted):
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/", headers={"Accept-Encoding": accepted})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.getheader("Content-Encoding", "none")


async def main():
    middleware = [Middleware(GZipMiddleware)]
    ports = {"starlette": await serve(Starlette(routes=[Route("/", lambda _: Response(BODY))], middleware=middleware))}
    django = make_server("127.0.0.1", 0, application, handler_class=Silent)
    threading.Thread(target=django.serve_forever, daemon=True).start()
    ports["django"] = django.server_port
    app = web.Application()
    app.router.add_get("/", aiohttp)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    ports["aiohttp"] = runner.addresses[0][1]
    sockets = bind_sockets(0, "127.0.0.1")
    HTTPServer(Application([("/", Tornado)], compress_response=True)).add_sockets(sockets)
    ports["tornado"] = sockets[0].getsockname()[1]
    ports["litestar"] = await serve(Litestar([litestar], compression_config=CompressionConfig(backend="gzip")))
    node = subprocess.Popen(["node", "serve.cjs"], stdout=subprocess.PIPE, text=True)
    go = subprocess.Popen(["./serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ports["compression"] = int(await asyncio.to_thread(node.stdout.readline))
    ports["gorilla"] = int(await asyncio.to_thread(go.stdout.readline))
    for accepted in ("gzip", "gzip;q=0", "gzip, deflate;q=0", "identity"):
        found = [f"{name} {await asyncio.to_thread(coding, port, accepted)}" for name, port in ports.items()]
        print(f"{accepted}: {', '.join(found)}", flush=True)
    node.terminate()
    go.terminate()
    node.wait()
    go.wait()


asyncio.run(main())
PYTHON
cat >serve.cjs <<'JAVASCRIPT'
const express = require('express')
const compression = require('compression')

const app = express()
app.use(compression())
app.get('/', (_, response) => response.type('text').send('x'.repeat(5000)))
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
JAVASCRIPT
cat >serve.go <<'GO'
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/gorilla/handlers"
)

func main() {
	server := httptest.NewServer(handlers.CompressHandler(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
		response.Write(make([]byte, 5000))
	})))
	var port int
	fmt.Sscanf(server.URL, "http://127.0.0.1:%d", &port)
	fmt.Println(port)
	io.Copy(io.Discard, os.Stdin)
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init serve >/dev/null 2>&1
go get github.com/gorilla/handlers@v1.5.2 >/dev/null 2>&1
go build -o serve serve.go
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
gzip: starlette gzip, django gzip, aiohttp gzip, tornado gzip, litestar gzip, compression gzip, gorilla gzip
gzip;q=0: starlette gzip, django gzip, aiohttp gzip, tornado gzip, litestar gzip, compression none, gorilla none
gzip, deflate;q=0: starlette gzip, django gzip, aiohttp deflate, tornado gzip, litestar gzip, compression gzip, gorilla gzip
identity: starlette none, django none, aiohttp none, tornado none, litestar none, compression none, gorilla none
SEEN
