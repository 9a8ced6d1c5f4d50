#!/usr/bin/env bash
# aedes 1.2.0 for Node and Mochi MQTT 2.7.9 for Go send retained messages of topics with a "$" to subscribers of "#" and "+/...".
#
# MQTT 5.0 and 3.1.1, section 4.7.2, [MQTT-4.7.2-1]: a filter that starts with a wildcard matches no topic that starts with "$".
# Both brokers keep to it when a message is published, but not when a client subscribes and gets what was retained. So a
# consumer of "#" sees such topics, say "$status/worker", after each reconnection and at no other time.
#
# Output seen 2026-12-01, a message of "$status/worker" and one of "status/worker":
#   aedes: +/worker live status/worker, retained $status/worker status/worker
#   aedes: # live status/worker, retained $status/worker status/worker
#   Mochi MQTT: +/worker live status/worker, retained $status/worker status/worker
#   Mochi MQTT: # live status/worker, retained $status/worker status/worker
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund aedes@1.2.0 mqtt@5.16.0 >/dev/null
cat >serve.go <<'GO'
package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	server := mqtt.New(&mqtt.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	must(server.AddHook(new(auth.AllowHook), nil))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	must(server.AddListener(listeners.NewNet("tcp", listener)))
	must(server.Serve())
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	io.Copy(io.Discard, os.Stdin)
	must(server.Close())
}
GO
cat >show.mjs <<'JAVASCRIPT'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Aedes } from 'aedes'
import mqtt from 'mqtt'

const TOPICS = ['$status/worker', 'status/worker']

async function show(name, port) {
  const connect = () => mqtt.connectAsync(`mqtt://127.0.0.1:${port}`)
  const publisher = await connect()
  const publish = (topic, retain) => publisher.publishAsync(topic, 'text', { qos: 1, retain })
  const subscribe = async (filter) => {
    const client = await connect()
    const topics = []
    const done = new Promise((resolve) => {
      client.on('message', (topic) => {
        if (topic === 'end') setTimeout(resolve, 2000)
        else if (topics.push(topic) === TOPICS.length) resolve()
      })
    })
    await client.subscribeAsync([filter, 'end'], { qos: 1 })
    return async () => {
      await publish('end', false)
      await done
      await client.endAsync()
      return topics.sort().join(' ')
    }
  }
  for (const filter of ['+/worker', '#']) {
    for (const topic of TOPICS) await publisher.publishAsync(topic, '', { qos: 1, retain: true })
    const live = await subscribe(filter)
    for (const topic of TOPICS) await publish(topic, false)
    const seen = await live()
    for (const topic of TOPICS) await publish(topic, true)
    const retained = await subscribe(filter)
    console.log(`${name}: ${filter} live ${seen}, retained ${await retained()}`)
  }
  await publisher.endAsync()
}

const broker = await Aedes.createBroker()
const server = createServer(broker.handle).listen(0, '127.0.0.1')
await once(server, 'listening')
await show('aedes', server.address().port)
await new Promise((resolve) => broker.close(resolve))
server.close()
const mochi = spawn('./serve', { stdio: ['pipe', 'pipe', 'inherit'] })
const [port] = await once(mochi.stdout, 'data')
await show('Mochi MQTT', Number(port))
mochi.stdin.end()
JAVASCRIPT
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init serve >/dev/null 2>&1
go get github.com/mochi-mqtt/server/v2@v2.7.9 github.com/mochi-mqtt/server/v2/hooks/auth@v2.7.9 >/dev/null 2>&1
go build -o serve serve.go
node show.mjs | tee seen
diff seen - <<'SEEN'
aedes: +/worker live status/worker, retained $status/worker status/worker
aedes: # live status/worker, retained $status/worker status/worker
Mochi MQTT: +/worker live status/worker, retained $status/worker status/worker
Mochi MQTT: # live status/worker, retained $status/worker status/worker
SEEN
