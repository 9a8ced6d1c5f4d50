#!/usr/bin/env bash
# Ajv 8.20.0 for Node and jsonschema 4.26.0 for Python find that 19.99 is no multiple of 0.01.
#
# JSON Schema 2020-12, Validation, section 6.2.1: a number is valid if dividing it by `multipleOf` gives an integer. 19.99 by
# 0.01 is 1999. Both divide binary fractions and get 1998.9999999999998. An event with that price is refused, the next one
# with 19.98 is not. jsonschema 1.5.0 for Node and gojsonschema 1.2.0 for Go count the decimal digits. Ajv has
# `multipleOfPrecision` for it, which is off unless set; Python's needs the document read with `parse_float=Decimal`, and the
# schema too.
#
# Output seen 2026-11-30, what each makes of prices against {"type":"number","multipleOf":0.01}:
#   19.98: Ajv valid, jsonschema for Python valid, jsonschema for Node valid, gojsonschema valid
#   19.99: Ajv refused, jsonschema for Python refused, jsonschema for Node valid, gojsonschema valid
#   4.35: Ajv refused, jsonschema for Python refused, jsonschema for Node valid, gojsonschema valid
#   0.07: Ajv refused, jsonschema for Python refused, jsonschema for Node valid, gojsonschema valid
#   0.075: Ajv refused, jsonschema for Python refused, jsonschema for Node refused, gojsonschema refused
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check jsonschema==4.26.0
npm install --silent --no-audit --no-fund ajv@8.20.0 jsonschema@1.5.0 >/dev/null
cat >show.mjs <<'JAVASCRIPT'
import { Ajv } from 'ajv'
import { Validator } from 'jsonschema'

const [, , text, schemaText] = process.argv
const [price, schema] = [JSON.parse(text), JSON.parse(schemaText)]
const say = (valid) => (valid ? 'valid' : 'refused')
console.log(say(new Ajv().compile(schema)(price)))
console.log(say(new Validator().validate(price, schema).valid))
JAVASCRIPT
cat >show.py <<'PYTHON'
import json
import sys

from jsonschema import Draft202012Validator

price, schema = map(json.loads, sys.argv[1:])
print("valid" if Draft202012Validator(schema).is_valid(price) else "refused")
PYTHON
cat >show.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/xeipuuv/gojsonschema"
)

func main() {
	result, err := gojsonschema.Validate(gojsonschema.NewStringLoader(os.Args[2]), gojsonschema.NewStringLoader(os.Args[1]))
	if err != nil {
		panic(err)
	}
	if result.Valid() {
		fmt.Println("valid")
	} else {
		fmt.Println("refused")
	}
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/xeipuuv/gojsonschema@v1.2.0 >/dev/null 2>&1
go build -o show show.go
schema='{"type":"number","multipleOf":0.01}'
for price in 19.98 19.99 4.35 0.07 0.075; do
  mapfile -t node < <(node show.mjs $price "$schema")
  echo "$price: Ajv ${node[0]}, jsonschema for Python $(venv/bin/python show.py $price "$schema")," \
    "jsonschema for Node ${node[1]}, gojsonschema $(./show $price "$schema")"
done | tee seen
diff seen - <<'SEEN'
19.98: Ajv valid, jsonschema for Python valid, jsonschema for Node valid, gojsonschema valid
19.99: Ajv refused, jsonschema for Python refused, jsonschema for Node valid, gojsonschema valid
4.35: Ajv refused, jsonschema for Python refused, jsonschema for Node valid, gojsonschema valid
0.07: Ajv refused, jsonschema for Python refused, jsonschema for Node valid, gojsonschema valid
0.075: Ajv refused, jsonschema for Python refused, jsonschema for Node refused, gojsonschema refused
SEEN
