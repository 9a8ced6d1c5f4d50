#!/usr/bin/env bash
# Apache's avro 1.12.2 for Python writes the decimal 127 as 1.27 if the schema has two places.
#
# The specification of Avro 1.12.0, "Decimal": the bytes are the unscaled value, and scale says how many of its digits are the
# fraction. 127 with a scale of 2 is 12700. avro writes the digits as they are, however many places the number has. Only numbers
# with exactly as many places as the schema arrive: a price read as "20" or computed to 12.5 is a hundredth or a tenth of it.
# fastavro 1.13.1 scales them. So does `price.quantize(Decimal("0.01"))` before avro.
#
# Output seen 2026-11-30, as written and read again:
#   12.50: avro 12.50, fastavro 12.50
#   12.5: avro 1.25, fastavro 12.50
#   127: avro 1.27, fastavro 127.00
#   1E+3: avro 0.01, fastavro 1000.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check avro==1.12.2 fastavro==1.13.1
cat >show.py <<'PYTHON'
import json
from decimal import Decimal
from io import BytesIO

import avro.schema
import fastavro
from avro.io import BinaryDecoder, BinaryEncoder, DatumReader, DatumWriter

SCHEMA = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
for number in ("12.50", "12.5", "127", "1E+3"):
    one, other = BytesIO(), BytesIO()
    schema = avro.schema.parse(json.dumps(SCHEMA))
    DatumWriter(schema).write(Decimal(number), BinaryEncoder(one))
    one.seek(0)
    fastavro.schemaless_writer(other, SCHEMA, Decimal(number))
    other.seek(0)
    read = DatumReader(schema).read(BinaryDecoder(one)), fastavro.schemaless_reader(other, SCHEMA)
    print("{}: avro {}, fastavro {}".format(number, *read))
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
12.50: avro 12.50, fastavro 12.50
12.5: avro 1.25, fastavro 12.50
127: avro 1.27, fastavro 127.00
1E+3: avro 0.01, fastavro 1000.00
SEEN
