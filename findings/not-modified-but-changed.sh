#!/usr/bin/env bash
# Bottle 0.13.4 and Fiber 2.52.15 answer 304 for a file that has changed, if it changed within the same second.
#
# RFC 9110, section 13.1.3: `If-Modified-Since` is ignored if there is an `If-None-Match`, because dates are not finer than a
# second. These two look at the date although the entity tag is another one. A poller that sends both, as browsers do, keeps the
# old file for good. Bottle also sends its tag without the quotes that section 8.8.3 demands. Flask 3.1.3 and Express 5.3.0
# follow the specification.
#
# Output seen 2026-12-01, asked with the tag and the date of the old version:
#   Bottle: 304
#   Fiber: 304
#   Flask: 200 new version
#   Express: 200 new version
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check bottle==0.13.4 flask==3.1.3
npm install --silent --no-audit --no-fund express@5.3.0 >/dev/null
mkdir public
cat >serve.go <<'GO'
package main

import (
	"fmt"
	"io"
	"net"
	"os"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/etag"
)

func main() {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(etag.New())
	app.Static("/", "public", fiber.Static{CacheDuration: -1})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go app.Listener(listener)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	io.Copy(io.Discard, os.Stdin)
}
GO
cat >serve.cjs <<'JAVASCRIPT'
const express = require('express')

const server = express().use(express.static('public')).listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit()).resume()
JAVASCRIPT
cat >serve.py <<'PYTHON'
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import bottle
import flask


class Silent(WSGIRequestHandler):
    def log_message(self, *_):
        pass


if sys.argv[1] == "bottle":
    app = bottle.Bottle()
    app.route("/file")(lambda: bottle.static_file("file", root="public"))
else:
    app = flask.Flask("show", root_path=".", static_folder="public", static_url_path="/")
server = make_server("127.0.0.1", 0, app, handler_class=Silent)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
PYTHON
cat >show.py <<'PYTHON'
import os
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

FILE = Path("public/file")


def ask(port, headers):
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/file", headers=headers)
    answer = connection.getresponse()
    return answer, answer.read().decode(), connection.close()


def write(text):
    FILE.write_text(text)
    os.utime(FILE, (1_700_000_000, 1_700_000_000))


servers = {
    "Bottle": [sys.executable, "serve.py", "bottle"],
    "Fiber": ["./serve"],
    "Flask": [sys.executable, "serve.py", "flask"],
    "Express": ["node", "serve.cjs"],
}
for name, command in servers.items():
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline())
        write("old")
        old, text, _ = ask(port, {})
        assert (old.status, text) == (200, "old")
        write("new version")
        known = {"If-None-Match": old.headers["ETag"], "If-Modified-Since": old.headers["Last-Modified"]}
        answer, text, _ = ask(port, known)
        print(f"{name}: {answer.status} {text}".strip(), flush=True)
        server.stdin.close()
PYTHON
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init serve >/dev/null 2>&1
go get github.com/gofiber/fiber/v2@v2.52.15 github.com/gofiber/fiber/v2/middleware/etag@v2.52.15 >/dev/null 2>&1
go build -o serve serve.go
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
Bottle: 304
Fiber: 304
Flask: 200 new version
Express: 200 new version
SEEN
