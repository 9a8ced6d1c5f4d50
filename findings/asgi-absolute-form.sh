#!/usr/bin/env bash
# uvicorn 0.54.0 with h11, Hypercorn 0.18.0 and daphne 4.2.3 take a whole URL in the request line for a path: 404.
#
# RFC 9112, section 3.2.2: a server must accept the absolute form, `POST http://host/hook`, which senders behind a proxy, and
# some proxies, write. ASGI's `path` is the path of the target (HTTP connection scope). These three put the URL into it, so no
# route matches. The same uvicorn with httptools 0.9.0, and waitress 3.0.2 and gunicorn 27.0.1, give the path alone: what
# works on one machine fails where httptools is not installed.
#
# Output seen 2026-11-30, the path of "GET http://localhost/hook" that an application sees:
#   uvicorn, h11: http://localhost/hook
#   uvicorn, httptools: /hook
#   Hypercorn: http://localhost/hook
#   daphne: http://localhost/hook
#   waitress: /hook
#   gunicorn: /hook
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check uvicorn==0.54.0 h11==0.16.0 httptools==0.9.0 hypercorn==0.18.0 \
  daphne==4.2.3 waitress==3.0.2 gunicorn==27.0.1
cat >application.py <<'PYTHON'
async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]
PYTHON
cat >show.py <<'PYTHON'
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection

SERVERS = {
    "uvicorn, h11": "uvicorn --http h11 --port {port} application:asgi",
    "uvicorn, httptools": "uvicorn --http httptools --port {port} application:asgi",
    "Hypercorn": "hypercorn -b 127.0.0.1:{port} application:asgi",
    "daphne": "daphne -b 127.0.0.1 -p {port} application:asgi",
    "waitress": "waitress-serve --listen=127.0.0.1:{port} application:wsgi",
    "gunicorn": "gunicorn -b 127.0.0.1:{port} application:wsgi",
}


def wait_for(port):
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
    sys.exit("no server")


for name, command in SERVERS.items():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program, *arguments = command.format(port=port).split()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([f"venv/bin/{program}", *arguments], **quiet)
    try:
        wait_for(port)
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "http://localhost/hook", headers={"Host": "localhost"})
        print(f"{name}: {connection.getresponse().read().decode()}", flush=True)
        connection.close()
    finally:
        server.terminate()
        server.wait()
PYTHON
PYTHONPATH=. venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
uvicorn, h11: http://localhost/hook
uvicorn, httptools: /hook
Hypercorn: http://localhost/hook
daphne: http://localhost/hook
waitress: /hook
gunicorn: /hook
SEEN
