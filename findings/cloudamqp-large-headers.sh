#!/usr/bin/env bash
# @cloudamqp/amqp-client 4.1.1 for Node sends a header of 3000000000 as -1294967296, and one of 1e300 as 0.
#
# RabbitMQ's page "AMQP 0-9-1 Errata", section 3: in a table, `I` is a signed integer of 32 bits, `l` one of 64, `d` a double,
# and the number before a decimal is signed. The package writes `I` up to 2^32 - 1, so a size of 2 GiB and more turns
# negative. It writes each number without a fraction as an integer, whatever its size. It reads a decimal as unsigned. pamqp
# 4.0.1, the codec of aio-pika, and py-amqp 5.4.2, Celery's, agree on what it sent. amqplib 2.3.1 for Node writes `l` and `d`.
#
# Output seen 2026-11-30:
#   3000000000 from @cloudamqp/amqp-client: pamqp -1294967296, py-amqp -1294967296
#   3000000000 from amqplib: pamqp 3000000000, py-amqp 3000000000
#   1e+300 from @cloudamqp/amqp-client: pamqp 0, py-amqp 0
#   1e+300 from amqplib: pamqp 1e+300, py-amqp 1e+300
#   -0.01 from pamqp: @cloudamqp/amqp-client 42949672.95
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check pamqp==4.0.1 amqp==5.4.2
npm install --silent --no-audit --no-fund @cloudamqp/amqp-client@4.1.1 amqplib@2.3.1 >/dev/null
cat >codecs.cjs <<'JAVASCRIPT'
const { AMQPView } = require(`${__dirname}/node_modules/@cloudamqp/amqp-client/lib/cjs/amqp-view.js`)
const { encodeTable } = require(`${__dirname}/node_modules/amqplib/lib/codec.js`)

const [, , task, value] = process.argv
const room = new ArrayBuffer(1000)
if (task === 'read') {
  const table = Buffer.from(value, 'hex')
  Buffer.from(room).set(table)
  console.log(new AMQPView(room).getTable(0, false)[0].value)
} else {
  const headers = { value: Number(value) }
  const size = task === 'amqplib' ? encodeTable(Buffer.from(room), headers, 0) : new AMQPView(room).setTable(0, headers, false)
  console.log(Buffer.from(room).subarray(0, size).toString('hex'))
}
JAVASCRIPT
cat >show.py <<'PYTHON'
import subprocess
from decimal import Decimal

import amqp.serialization
import pamqp.decode
import pamqp.encode


def node(task, value):
    return subprocess.check_output(["node", "codecs.cjs", task, value], text=True).strip()


for value in ("3000000000", "1e+300"):
    for package in ("@cloudamqp/amqp-client", "amqplib"):
        table = bytes.fromhex(node(package, value))
        one, other = pamqp.decode.field_table(table)[1]["value"], amqp.serialization.loads("F", table, 0)[0][0]["value"]
        print(f"{value} from {package}: pamqp {one}, py-amqp {other}")
table = pamqp.encode.field_table({"value": Decimal("-0.01")}).hex()
print(f"-0.01 from pamqp: @cloudamqp/amqp-client {node('read', table)}")
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
3000000000 from @cloudamqp/amqp-client: pamqp -1294967296, py-amqp -1294967296
3000000000 from amqplib: pamqp 3000000000, py-amqp 3000000000
1e+300 from @cloudamqp/amqp-client: pamqp 0, py-amqp 0
1e+300 from amqplib: pamqp 1e+300, py-amqp 1e+300
-0.01 from pamqp: @cloudamqp/amqp-client 42949672.95
SEEN
