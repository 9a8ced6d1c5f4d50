#!/usr/bin/env bash
# Behind Caddy 2.6.2, boto3 1.44.8 finds no metadata under its name.
#
# Amazon's guide "Working with object metadata": S3 keeps the names of user metadata in lower case. boto3 strips
# `x-amz-meta-` from the headers of an answer, and leaves the rest as it came. Caddy, like other proxies that are written
# in Go, sends on each header with capitals (`X-Amz-Meta-Sha256`), which RFC 9110, section 5.1, lets it do: names of
# headers have no case. Keys of a dict have one. `head_object(...)["Metadata"]["sha256"]` is a KeyError behind such a proxy.
#
# Output seen 2026-11-30, of an object whose store answers with `x-amz-meta-sha256: 1`:
#   direct {'sha256': '1'}
#   Caddy {'Sha256': '1'}
set -euo pipefail
[ "$(caddy version)" = 2.6.2 ] || { echo "needs Caddy 2.6.2, as in Debian 12"; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check boto3==1.44.8
cat >show.py <<'PYTHON'
import os
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3


class Store(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.send_header("x-amz-meta-sha256", "1")
        self.end_headers()

    def log_message(self, *_):
        pass


store = ThreadingHTTPServer(("127.0.0.1", 0), Store)
threading.Thread(target=store.serve_forever, daemon=True).start()
with socket.create_server(("127.0.0.1", 0)) as free:
    proxy_port = free.getsockname()[1]
with open("Caddyfile", "w") as file:
    file.write(f"{{\n admin off\n}}\nhttp://127.0.0.1:{proxy_port} {{\n reverse_proxy 127.0.0.1:{store.server_port}\n}}\n")
settings = os.environ | dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), os.getcwd())
caddy = ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
proxy = subprocess.Popen(caddy, stderr=subprocess.DEVNULL, env=settings)
try:
    for _ in range(300):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", proxy_port)) == 0:
                break
        time.sleep(0.1)
    session = boto3.Session("key", "secret", region_name="us-east-1")
    for name, port in (("direct", store.server_port), ("Caddy", proxy_port)):
        client = session.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
        print(name, client.head_object(Bucket="bucket", Key="key")["Metadata"])
finally:
    proxy.terminate()
    proxy.wait()
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
direct {'sha256': '1'}
Caddy {'Sha256': '1'}
SEEN
