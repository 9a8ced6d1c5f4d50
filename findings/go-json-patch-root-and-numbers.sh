#!/usr/bin/env bash
# evanphx/json-patch 5.9.11 for Go moves a value to the member "" instead of the root, and finds 1 and 1.0 unequal.
#
# RFC 6902, section 4.4: `move` removes the value and adds it at `path`; section 4.1: to add at the root, the pointer "",
# replaces the whole document. The library wraps the value in an object. Section 4.6: numbers are equal if their values are.
# It compares their text, so a document that went through another serialiser, which writes 1.0 for 1 or 100 for 1e2, fails each
# `test`. fast-json-patch 3.1.1 for Node and jsonpatch 1.33 for Python do both as specified.
#
# Output seen 2026-11-30, of {"a":{"n":1}} for each patch:
#   move /a to the root: Go {"":{"n":1}}, Node {"n":1}, Python {"n":1}
#   test that /a/n is 1.0: Go refused, Node {"a":{"n":1}}, Python {"a":{"n":1}}
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check jsonpatch==1.33
npm install --silent --no-audit --no-fund fast-json-patch@3.1.1 >/dev/null
cat >show.go <<'GO'
package main

import (
	"errors"
	"fmt"
	"os"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

func main() {
	patch, err := jsonpatch.DecodePatch([]byte(os.Args[1]))
	if err != nil {
		panic(err)
	}
	changed, err := patch.Apply([]byte(`{"a":{"n":1}}`))
	if errors.Is(err, jsonpatch.ErrTestFailed) {
		fmt.Println("refused")
	} else if err != nil {
		panic(err)
	} else {
		fmt.Println(string(changed))
	}
}
GO
cat >show.mjs <<'JAVASCRIPT'
import jsonpatch from 'fast-json-patch'

console.log(JSON.stringify(jsonpatch.applyPatch({ a: { n: 1 } }, JSON.parse(process.argv[2]), true).newDocument))
JAVASCRIPT
cat >show.py <<'PYTHON'
import json
import sys

import jsonpatch

print(json.dumps(jsonpatch.apply_patch({"a": {"n": 1}}, json.loads(sys.argv[1])), separators=(",", ":")))
PYTHON
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/evanphx/json-patch/v5@v5.9.11 >/dev/null 2>&1
go build -o show show.go
show() { echo "$1: Go $(./show "$2"), Node $(node show.mjs "$2"), Python $(venv/bin/python show.py "$2")"; }
{
  show "move /a to the root" '[{"op":"move","from":"/a","path":""}]'
  show "test that /a/n is 1.0" '[{"op":"test","path":"/a/n","value":1.0}]'
} | tee seen
diff seen - <<'SEEN'
move /a to the root: Go {"":{"n":1}}, Node {"n":1}, Python {"n":1}
test that /a/n is 1.0: Go refused, Node {"a":{"n":1}}, Python {"a":{"n":1}}
SEEN
