#!/usr/bin/env bash
# Apache's avro 1.12.2 for Python reads neither aliases nor the default of an enum, and gives a schema another fingerprint.
#
# The specification of Avro 1.12.0: a reader's schema may have an alias for the writer's name ("Aliases"); an unknown symbol
# becomes the enum's default ("Schema Resolution"). Both let a schema change while old events are in the queue; here each of
# these raises. "Parsing Canonical Form", [PRIMITIVES]: {"type":"long"} becomes "long". avro keeps the object that a logical
# type had. A registry or a single-object header that names schemas by fingerprint then has two for one. fastavro 1.13.1, and
# avsc 5.7.9 for Node in the canonical form, follow the specification.
#
# Output seen 2026-11-30:
#   alias: avro SchemaResolutionException, fastavro {'new': 7}
#   enum default: avro SchemaResolutionException, fastavro OTHER
#   canonical form: avro {"type":"long"}, fastavro "long", avsc "long"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check avro==1.12.2 fastavro==1.13.1
npm install --silent --no-audit --no-fund avsc@5.7.9 >/dev/null
cat >show.py <<'PYTHON'
import json
import subprocess
from io import BytesIO

import avro.schema
import fastavro
from avro.errors import SchemaResolutionException
from avro.io import BinaryDecoder, DatumReader


def record(name, **more):
    return {"type": "record", "name": "Event", "fields": [{"name": name, "type": "int"} | more]}


def enum(*symbols, **more):
    return {"type": "enum", "name": "Kind", "symbols": symbols} | more


def show(name, value, written, wanted):
    file = BytesIO()
    fastavro.schemaless_writer(file, written, value)
    file.seek(0)
    try:
        one = DatumReader(*(avro.schema.parse(json.dumps(schema)) for schema in (written, wanted))).read(BinaryDecoder(file))
    except SchemaResolutionException as error:
        one = type(error).__name__
    file.seek(0)
    print(f"{name}: avro {one}, fastavro {fastavro.schemaless_reader(file, written, wanted)}")


show("alias", {"old": 7}, record("old"), record("new", aliases=["old"]))
show("enum default", "VIDEO", enum("OTHER", "VIDEO"), enum("OTHER", default="OTHER"))
time = {"type": "long", "logicalType": "timestamp-millis"}
forms = avro.schema.parse(json.dumps(time)).canonical_form, fastavro.schema.to_parsing_canonical_form(time)
code = "console.log(JSON.stringify(require('avsc').Type.forSchema(JSON.parse(process.argv[1])).schema()))"
avsc = subprocess.check_output(["node", "-e", code, json.dumps(time)], text=True).strip()
print("canonical form: avro {}, fastavro {}, avsc {}".format(*forms, avsc))
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
alias: avro SchemaResolutionException, fastavro {'new': 7}
enum default: avro SchemaResolutionException, fastavro OTHER
canonical form: avro {"type":"long"}, fastavro "long", avsc "long"
SEEN
