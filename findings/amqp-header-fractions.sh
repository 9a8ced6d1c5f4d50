#!/usr/bin/env bash
# In a header of AMQP, pika 1.4.4 reads 0.5 as 0. aio-pika (pamqp 4.0.1) sends 0.1 as 0.10000000149011612.
#
# AMQP 0-9-1, section 4.2.1, has fractions of single and of double precision in tables ("f" and "d"), and RabbitMQ passes both
# on. pika makes an integer of either, and sends none. pamqp, the codec of aio-pika, packs each Python float, which is double,
# as a single one. A price, a score or a rate in a header is wrong on the other side, and nothing fails. py-amqp 5.4.2, the
# codec of kombu and Celery, and amqplib 2.3.1 for Node keep what they get.
#
# Output seen 2026-11-30, of the same tables:
#   amqplib sends 0.5: pika reads 0, pamqp reads 0.5, py-amqp reads 0.5
#   pika sends 0.1: UnsupportedAMQPFieldException
#   pamqp sends 0.1: amqplib reads 0.10000000149011612
#   py-amqp sends 0.1: amqplib reads 0.1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check pika==1.4.4 pamqp==4.0.1 amqp==5.4.2
npm install --silent --no-audit --no-fund amqplib@2.3.1 >/dev/null
cat >table.js <<'JAVASCRIPT'
const { decodeFields, encodeTable } = require('./node_modules/amqplib/lib/codec.js')
const [, , verb, value] = process.argv
if (verb === 'write') {
  const table = Buffer.alloc(100)
  console.log(table.subarray(0, encodeTable(table, { a: Number(value) }, 0)).toString('hex'))
} else {
  console.log(decodeFields(Buffer.from(value, 'hex').subarray(4)).a) // the first four bytes are the length
}
JAVASCRIPT
cat >show.py <<'PYTHON'
import subprocess

import pamqp.decode
import pamqp.encode
import pika.data
from amqp import serialization
from pika.exceptions import UnsupportedAMQPFieldException


def node(*arguments):
    return subprocess.check_output(["node", "table.js", *arguments], text=True).strip()


table = bytes.fromhex(node("write", "0.5"))
read = {
    "pika": pika.data.decode_table(table, 0)[0],
    "pamqp": pamqp.decode.field_table(table)[1],
    "py-amqp": serialization.loads("F", table, 0)[0][0],
}
print("amqplib sends 0.5:", ", ".join(f"{name} reads {values['a']:g}" for name, values in read.items()))
try:
    pika.data.encode_table([], {"a": 0.1})
    print("pika sends 0.1")
except UnsupportedAMQPFieldException as error:
    print("pika sends 0.1:", type(error).__name__)
for name, table in (
    ("pamqp", pamqp.encode.field_table({"a": 0.1})),
    ("py-amqp", serialization.dumps("F", [{"a": 0.1}])),
):
    print(f"{name} sends 0.1: amqplib reads", node("read", table.hex()))
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
amqplib sends 0.5: pika reads 0, pamqp reads 0.5, py-amqp reads 0.5
pika sends 0.1: UnsupportedAMQPFieldException
pamqp sends 0.1: amqplib reads 0.10000000149011612
py-amqp sends 0.1: amqplib reads 0.1
SEEN
