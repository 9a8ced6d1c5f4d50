#!/usr/bin/env bash
# To gojsonschema 1.2.0 for Go, "2026-12-01" is a date-time, and so is "10:00:00Z". Other validators disagree about more.
#
# JSON Schema 2020-12, Validation, section 7.3.1: the format `date-time` is that of RFC 3339, section 5.6. There it is a date,
# a "T" and a time with an offset such as +01:00; the letters may be small, and a leap second is 60. Drafts 4 to 7 say the
# same. gojsonschema takes a date or a time alone for enough, and refuses small letters. ajv-formats 3.0.1 for Node knows an
# offset without a colon, and rfc3339-validator 0.1.4, which Python's jsonschema 4.26.0 uses, knows no leap second. So an
# event that its producer has checked is refused by a consumer with the same schema. santhosh-tekuri's jsonschema 6.0.3 for Go
# is right.
#
# Output seen 2026-12-01, whether each accepts it as {"type":"string","format":"date-time"}:
#   2026-12-01T10:00:00Z: gojsonschema true, santhosh-tekuri true, ajv-formats true, rfc3339-validator true
#   2026-12-01: gojsonschema true, santhosh-tekuri false, ajv-formats false, rfc3339-validator false
#   10:00:00Z: gojsonschema true, santhosh-tekuri false, ajv-formats false, rfc3339-validator false
#   2026-12-01t10:00:00z: gojsonschema false, santhosh-tekuri true, ajv-formats true, rfc3339-validator true
#   2026-12-01T10:00:00+0100: gojsonschema false, santhosh-tekuri false, ajv-formats true, rfc3339-validator false
#   2016-12-31T23:59:60Z: gojsonschema false, santhosh-tekuri true, ajv-formats true, rfc3339-validator false
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check jsonschema==4.26.0 rfc3339-validator==0.1.4
npm install --silent --no-audit --no-fund ajv@8.20.0 ajv-formats@3.0.1 >/dev/null
cat >show.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/xeipuuv/gojsonschema"
)

func main() {
	schema := map[string]any{"type": "string", "format": "date-time"}
	found, err := gojsonschema.Validate(gojsonschema.NewGoLoader(schema), gojsonschema.NewGoLoader(os.Args[1]))
	if err != nil {
		panic(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("schema.json", schema); err != nil {
		panic(err)
	}
	other := compiler.MustCompile("schema.json").Validate(os.Args[1]) == nil
	fmt.Printf("%s: gojsonschema %t, santhosh-tekuri %t", os.Args[1], found.Valid(), other)
}
GO
cat >show.cjs <<'JAVASCRIPT'
const { Ajv } = require('ajv')
const addFormats = require('ajv-formats')

const ajv = new Ajv()
addFormats(ajv)
console.log(ajv.validate({ type: 'string', format: 'date-time' }, process.argv[2]))
JAVASCRIPT
cat >show.py <<'PYTHON'
import sys

from jsonschema import Draft202012Validator

schema = {"type": "string", "format": "date-time"}
validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
print(str(validator.is_valid(sys.argv[1])).lower())
PYTHON
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/xeipuuv/gojsonschema@v1.2.0 github.com/santhosh-tekuri/jsonschema/v6@v6.0.3 >/dev/null 2>&1
go build -o show show.go
for text in 2026-12-01T10:00:00Z 2026-12-01 10:00:00Z 2026-12-01t10:00:00z 2026-12-01T10:00:00+0100 2016-12-31T23:59:60Z; do
  echo "$(./show $text), ajv-formats $(node show.cjs $text), rfc3339-validator $(venv/bin/python show.py $text)"
done | tee seen
diff seen - <<'SEEN'
2026-12-01T10:00:00Z: gojsonschema true, santhosh-tekuri true, ajv-formats true, rfc3339-validator true
2026-12-01: gojsonschema true, santhosh-tekuri false, ajv-formats false, rfc3339-validator false
10:00:00Z: gojsonschema true, santhosh-tekuri false, ajv-formats false, rfc3339-validator false
2026-12-01t10:00:00z: gojsonschema false, santhosh-tekuri true, ajv-formats true, rfc3339-validator true
2026-12-01T10:00:00+0100: gojsonschema false, santhosh-tekuri false, ajv-formats true, rfc3339-validator false
2016-12-31T23:59:60Z: gojsonschema false, santhosh-tekuri true, ajv-formats true, rfc3339-validator false
SEEN
