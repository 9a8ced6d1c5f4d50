#!/usr/bin/env bash
# The JavaScript SDK of CloudEvents 10.0.0 cannot read a Kafka record as kafkajs 2.2.4 hands it out.
#
# kafkajs gives the values of a record's headers as Buffers (its type is `Buffer | string`, and its decoder makes
# Buffers). `Kafka.toEvent` calls `startsWith` on the header `content-type`, which a Buffer does not have: TypeError.
# With the headers turned into strings the same record is read. Its value may be a Buffer or a string.
#
# Output seen 2026-11-29:
#   kafkajs Buffer
#   Buffer TypeError
#   string 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund cloudevents@10.0.0 kafkajs@2.2.4 >/dev/null
cat >show.js <<'JAVASCRIPT'
const { Kafka } = require('cloudevents')
const Decoder = require('kafkajs/src/protocol/decoder')
const Encoder = require('kafkajs/src/protocol/encoder')
const decodeHeader = require('kafkajs/src/protocol/recordBatch/header/v0/decoder')

const type = 'application/cloudevents+json'
const written = new Encoder().writeVarIntString('content-type').writeVarIntBytes(Buffer.from(type))
const header = decodeHeader(new Decoder(written.buffer))
console.log('kafkajs', header.value.constructor.name)

const value = Buffer.from(JSON.stringify({ specversion: '1.0', id: '1', source: 'urn:x', type: 't', time: '2026-01-01T00:00:00Z' }))
const read = headers => Kafka.toEvent({ key: 'k', value, headers })
try {
  console.log('Buffer', read({ 'content-type': header.value }).id)
} catch (error) {
  console.log('Buffer', error.constructor.name)
}
console.log('string', read({ 'content-type': header.value.toString() }).id)
JAVASCRIPT
node show.js | tee seen
diff seen - <<'SEEN'
kafkajs Buffer
Buffer TypeError
string 1
SEEN
