#!/usr/bin/env bash
# Python's SDK of CloudEvents 2.2.0 refuses an event with an attribute that is null. JavaScript's 10.0.0 reads it.
#
# The JSON format of CloudEvents 1.0.2, section 2: a producer may write an attribute that it does not set as null, and a
# consumer must take that for an attribute that is not there. Python's SDK takes the null for a value, which is not a
# string. `cloudevents.v1`, the interface of the package before version 2, reads the same event, and so does JavaScript.
#
# Output seen 2026-11-30:
#   subject: Python CloudEventValidationError, Python v1 unset, JavaScript unset
#   dataschema: Python CloudEventValidationError, Python v1 unset, JavaScript unset
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check cloudevents==2.2.0
npm install --silent --no-audit --no-fund cloudevents@10.0.0 >/dev/null
cat >show.py <<'PYTHON'
import sys

from cloudevents.core.bindings import http
from cloudevents.v1.http import from_json

name, body = sys.argv[1:]
headers = {"content-type": "application/cloudevents+json"}
for version, read in (
    ("Python", lambda: http.from_http_event(http.HTTPMessage(headers, body.encode()))),
    ("Python v1", lambda: from_json(body)),
):
    try:
        value = read().get_attributes().get(name)
        print(version, "unset" if value is None else value, end=", ")
    except Exception as error:
        print(version, type(error).__name__, end=", ")
PYTHON
cat >show.js <<'JAVASCRIPT'
const { HTTP } = require('cloudevents')
const [, , name, body] = process.argv
const value = HTTP.toEvent({ headers: { 'content-type': 'application/cloudevents+json' }, body })[name]
console.log('JavaScript', value == null ? 'unset' : value)
JAVASCRIPT
for name in subject dataschema; do
  body="{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"urn:x\",\"type\":\"t\",\"$name\":null}"
  echo "$name: $(venv/bin/python show.py "$name" "$body")$(node show.js "$name" "$body")"
done | tee seen
diff seen - <<'SEEN'
subject: Python CloudEventValidationError, Python v1 unset, JavaScript unset
dataschema: Python CloudEventValidationError, Python v1 unset, JavaScript unset
SEEN
