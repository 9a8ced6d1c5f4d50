#!/usr/bin/env bash
# To Python's jmespath 1.1.0, 1 is true and 0 is false as soon as they are in an array or an object.
#
# JMESPath's specification, "Equality Operators": two values are equal if they are the same JSON type and value; `contains`
# compares alike. The package takes care at the top (`1` is not `true`), but leaves what is inside to Python, where True == 1.
# So a filter such as `contains(flags, `true`)` matches counters. JavaScript's package 0.16.0 and Go's 0.4.0 keep them apart.
#
# Output seen 2026-11-30:
#   `1` == `true`: Python false, JavaScript false, Go false
#   `[1]` == `[true]`: Python true, JavaScript false, Go false
#   `{"a": 0}` == `{"a": false}`: Python true, JavaScript false, Go false
#   contains(`[1]`, `true`): Python true, JavaScript false, Go false
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check jmespath==1.1.0
npm install --silent --no-audit --no-fund jmespath@0.16.0 >/dev/null
cat >show.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/jmespath/go-jmespath"
)

func main() {
	found, err := jmespath.Search(os.Args[1], map[string]any{})
	if err != nil {
		panic(err)
	}
	fmt.Println(found)
}
GO
python='import json, sys, jmespath; print(json.dumps(jmespath.search(sys.argv[1], {})))'
javascript='console.log(require("jmespath").search({}, process.argv[1]))'
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/jmespath/go-jmespath@v0.4.0 >/dev/null 2>&1
go build -o show show.go
while read -r expression; do
  echo "$expression: Python $(venv/bin/python -c "$python" "$expression")," \
    "JavaScript $(node -e "$javascript" "$expression"), Go $(./show "$expression")"
done <<'EXPRESSIONS' | tee seen
`1` == `true`
`[1]` == `[true]`
`{"a": 0}` == `{"a": false}`
contains(`[1]`, `true`)
EXPRESSIONS
diff seen - <<'SEEN'
`1` == `true`: Python false, JavaScript false, Go false
`[1]` == `[true]`: Python true, JavaScript false, Go false
`{"a": 0}` == `{"a": false}`: Python true, JavaScript false, Go false
contains(`[1]`, `true`): Python true, JavaScript false, Go false
SEEN
