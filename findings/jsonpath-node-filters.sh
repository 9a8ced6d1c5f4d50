#!/usr/bin/env bash
# jsonpath-plus 10.4.0 and jsonpath 1.3.0 for Node find nothing at `$[-1]`, and filter with JavaScript's `==`.
#
# RFC 9535, section 2.3.3: a negative index counts from the end. Section 2.3.5.2.2: values of different types are not equal.
# Section 2.3.5: parentheses around a filter are optional. The packages look for a member named "-1". Their `==` is
# JavaScript's, for which true and "1" equal 1. jsonpath-plus finds nothing with a filter without parentheses, and reports no
# error; jsonpath refuses it. A rule that was tested with python-jsonpath 2.2.2 selects other events here.
#
# Output seen 2026-11-30, the ids found in [{"id":"a","n":1},{"id":"b","n":true},{"id":"c","n":"1"}]:
#   $[-1].id: python-jsonpath ["c"], jsonpath-plus [], jsonpath []
#   $[-1:].id: python-jsonpath ["c"], jsonpath-plus ["c"], jsonpath ["c"]
#   $[?(@.n==1)].id: python-jsonpath ["a"], jsonpath-plus ["a","b","c"], jsonpath ["a","b","c"]
#   $[?@.n==1].id: python-jsonpath ["a"], jsonpath-plus [], jsonpath refused
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check python-jsonpath==2.2.2
npm install --silent --no-audit --no-fund jsonpath-plus@10.4.0 jsonpath@1.3.0 >/dev/null
cat >show.py <<'PYTHON'
import json
import sys

import jsonpath

print(json.dumps(jsonpath.findall(sys.argv[1], sys.argv[2]), separators=(",", ":")))
PYTHON
cat >show.mjs <<'JAVASCRIPT'
import jsonpath from 'jsonpath'
import { JSONPath } from 'jsonpath-plus'

const [, , path, text] = process.argv
const json = JSON.parse(text)
console.log(JSON.stringify(JSONPath({ path, json })))
try {
  console.log(JSON.stringify(jsonpath.query(json, path)))
} catch {
  console.log('refused')
}
JAVASCRIPT
document='[{"id":"a","n":1},{"id":"b","n":true},{"id":"c","n":"1"}]'
for path in '$[-1].id' '$[-1:].id' '$[?(@.n==1)].id' '$[?@.n==1].id'; do
  mapfile -t node < <(node show.mjs "$path" "$document")
  echo "$path: python-jsonpath $(venv/bin/python show.py "$path" "$document"), jsonpath-plus ${node[0]}, jsonpath ${node[1]}"
done | tee seen
diff seen - <<'SEEN'
$[-1].id: python-jsonpath ["c"], jsonpath-plus [], jsonpath []
$[-1:].id: python-jsonpath ["c"], jsonpath-plus ["c"], jsonpath ["c"]
$[?(@.n==1)].id: python-jsonpath ["a"], jsonpath-plus ["a","b","c"], jsonpath ["a","b","c"]
$[?@.n==1].id: python-jsonpath ["a"], jsonpath-plus [], jsonpath refused
SEEN
