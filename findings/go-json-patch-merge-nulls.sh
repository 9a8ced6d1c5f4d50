#!/usr/bin/env bash
# evanphx/json-patch 5.9.11 for Go removes the nulls within the arrays of a JSON Merge Patch.
#
# RFC 7396, section 2: only a member of the patch that is null, in an object within objects, removes something. Any value that
# is not an object replaces the old one as it is. So an array arrives whole, with the nulls that its objects hold. The
# library keeps nulls that are elements of the array, and drops members that are null. Whoever reads the document finds
# a field missing that the sender set to null. json-merge-patch 1.0.2 for Node and 0.3.0 for Python follow the RFC.
#
# Output seen 2026-11-30, {} after the patch {"a":[{"error":null,"id":1},null]}:
#   json-patch for Go {"a":[{"id":1},null]}
#   json-merge-patch for Node {"a":[{"error":null,"id":1},null]}
#   json-merge-patch for Python {"a":[{"error":null,"id":1},null]}
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check json-merge-patch==0.3.0
npm install --silent --no-audit --no-fund json-merge-patch@1.0.2 >/dev/null
cat >show.go <<'GO'
package main

import (
	"fmt"
	"os"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

func main() {
	merged, err := jsonpatch.MergePatch([]byte("{}"), []byte(os.Args[1]))
	if err != nil {
		panic(err)
	}
	fmt.Println("json-patch for Go", string(merged))
}
GO
cat >show.mjs <<'JAVASCRIPT'
import merge from 'json-merge-patch'

console.log('json-merge-patch for Node', JSON.stringify(merge.apply({}, JSON.parse(process.argv[2]))))
JAVASCRIPT
cat >show.py <<'PYTHON'
import json
import sys

from json_merge_patch.lib import merge

merged = merge({}, json.loads(sys.argv[1]))
print("json-merge-patch for Python", json.dumps(merged, separators=(",", ":")))
PYTHON
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/evanphx/json-patch/v5@v5.9.11 >/dev/null 2>&1
patch='{"a":[{"error":null,"id":1},null]}'
{
  go run show.go "$patch"
  node show.mjs "$patch"
  venv/bin/python show.py "$patch"
} | tee seen
diff seen - <<'SEEN'
json-patch for Go {"a":[{"id":1},null]}
json-merge-patch for Node {"a":[{"error":null,"id":1},null]}
json-merge-patch for Python {"a":[{"error":null,"id":1},null]}
SEEN
