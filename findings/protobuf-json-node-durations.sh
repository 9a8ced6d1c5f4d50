#!/usr/bin/env bash
# Google's proto3-json-serializer 3.0.6 for Node writes a duration of -1.5 s as "-1s", and reads the integer "1e3" as 1.
#
# Protocol Buffers' guide "ProtoJSON Format", in its table of types: a Duration has its fraction and its sign; an int64 may
# have an exponent, in quotes or not; the paths of a FieldMask change between lowerCamelCase in JSON and snake_case. The
# package drops the fraction of a negative duration and refuses to read one, reads an integer up to its "e", and leaves paths
# as they are, so a field mask from Node names no field of a Python program. Python's protobuf 7.36.2 does all as specified.
#
# Output seen 2026-12-01:
#   write Duration -1 s -500000000 ns: Node "-1s", Python "-1.500s"
#   write FieldMask foo_bar: Node "foo_bar", Python "fooBar"
#   read Duration "-1.5s": Node refused, Python -1 s -500000000 ns
#   read FieldMask "fooBar": Node fooBar, Python foo_bar
#   read Int64Value "1e3": Node 1, Python 1000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check protobuf==7.36.2
npm install --silent --no-audit --no-fund proto3-json-serializer@3.0.6 protobufjs@8.8.1 >/dev/null
cat >show.cjs <<'JAVASCRIPT'
const { fromProto3JSON, toProto3JSON } = require('proto3-json-serializer')
const protobuf = require('protobufjs')

const source = `syntax = "proto3"; package google.protobuf;
message Duration { int64 seconds = 1; int32 nanos = 2; }
message FieldMask { repeated string paths = 1; }
message Int64Value { int64 value = 1; }`
const { root } = protobuf.parse(source)
const [, , task, name, value] = process.argv
const type = root.lookupType(`google.protobuf.${name}`)
try {
  if (task === 'write') console.log(JSON.stringify(toProto3JSON(type.fromObject(JSON.parse(value)))))
  else console.log(JSON.stringify(type.toObject(fromProto3JSON(type, JSON.parse(value)), { longs: Number, defaults: true })))
} catch {
  console.log('null')
}
JAVASCRIPT
cat >show.py <<'PYTHON'
import json
import subprocess

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.wrappers_pb2 import Int64Value


def node(task, kind, value):
    command = ["node", "show.cjs", task, kind.DESCRIPTOR.name, json.dumps(value)]
    return json.loads(subprocess.check_output(command))


def text(kind, fields):
    if fields is None:
        return "refused"
    message = kind(**fields)
    if kind is Duration:
        return f"{message.seconds} s {message.nanos} ns"
    return str(message.value) if kind is Int64Value else ",".join(message.paths)


for kind, fields in ((Duration, {"seconds": -1, "nanos": -500_000_000}), (FieldMask, {"paths": ["foo_bar"]})):
    written = json.dumps(node("write", kind, fields)), json_format.MessageToJson(kind(**fields))
    print("write {} {}: Node {}, Python {}".format(kind.DESCRIPTOR.name, text(kind, fields), *written))
for kind, value in ((Duration, "-1.5s"), (FieldMask, "fooBar"), (Int64Value, "1e3")):
    message = json_format.Parse(json.dumps(value), kind())
    python = text(kind, {field.name: found for field, found in message.ListFields()})
    print(f'read {kind.DESCRIPTOR.name} "{value}": Node {text(kind, node("read", kind, value))}, Python {python}')
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
write Duration -1 s -500000000 ns: Node "-1s", Python "-1.500s"
write FieldMask foo_bar: Node "foo_bar", Python "fooBar"
read Duration "-1.5s": Node refused, Python -1 s -500000000 ns
read FieldMask "fooBar": Node fooBar, Python foo_bar
read Int64Value "1e3": Node 1, Python 1000
SEEN
