#!/usr/bin/env bash
# To an event without a time, the SDKs of CloudEvents for JavaScript and Python give the time at which it is read.
#
# `time` is optional in CloudEvents 1.0.2: when it happened, or some other time, which all producers of that source must
# choose alike. JavaScript's SDK 10.0.0 and Python's 2.2.0 put in the present when they read an event that has none,
# and nothing tells it from a time that the producer sent: read twice, one event happens twice. Go's 2.16.2 leaves it out.
# JavaScript's cuts a time that was sent to milliseconds, too. RFC 3339, which the specification names, has no such limit.
#
# Output seen 2026-11-30:
#   JavaScript: without a time, read as now
#   JavaScript: 2026-01-01T00:00:00.123456Z, read as 2026-01-01T00:00:00.123Z
#   Python: without a time, read as now
#   Python: 2026-01-01T00:00:00.123456Z, read as 2026-01-01T00:00:00.123456Z
#   Go: without a time, read as none
#   Go: 2026-01-01T00:00:00.123456Z, read as 2026-01-01T00:00:00.123456Z
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check cloudevents==2.2.0
npm install --silent --no-audit --no-fund cloudevents@10.0.0 >/dev/null
cat >show.js <<'JAVASCRIPT'
const { HTTP } = require('cloudevents')
console.log(HTTP.toEvent({ headers: { 'content-type': 'application/cloudevents+json' }, body: process.argv[2] }).time)
JAVASCRIPT
cat >show.py <<'PYTHON'
import sys

from cloudevents.core.bindings import http

message = http.HTTPMessage({"content-type": "application/cloudevents+json"}, sys.argv[1].encode())
print(http.from_http_event(message).get_time().isoformat().replace("+00:00", "Z"))
PYTHON
cat >show.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	events "github.com/cloudevents/sdk-go/v2"
)

func main() {
	event := events.Event{}
	if err := json.Unmarshal([]byte(os.Args[1]), &event); err != nil {
		panic(err)
	}
	if event.Time().IsZero() {
		fmt.Println("none")
	} else {
		fmt.Println(event.Time().Format(time.RFC3339Nano))
	}
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/cloudevents/sdk-go/v2@v2.16.2 >/dev/null 2>&1
show() { # language $1, then its command
  local language=$1 required='"specversion":"1.0","id":"1","source":"urn:x","type":"t"' sent=2026-01-01T00:00:00.123456Z read
  read=$("${@:2}" "{$required}")
  [[ $read == "$(date -u +%Y-%m-%d)"* ]] && read=now
  echo "$language: without a time, read as $read"
  echo "$language: $sent, read as $("${@:2}" "{$required,\"time\":\"$sent\"}")"
}
{ show JavaScript node show.js; show Python venv/bin/python show.py; show Go go run show.go; } | tee seen
diff seen - <<'SEEN'
JavaScript: without a time, read as now
JavaScript: 2026-01-01T00:00:00.123456Z, read as 2026-01-01T00:00:00.123Z
Python: without a time, read as now
Python: 2026-01-01T00:00:00.123456Z, read as 2026-01-01T00:00:00.123456Z
Go: without a time, read as none
Go: 2026-01-01T00:00:00.123456Z, read as 2026-01-01T00:00:00.123456Z
SEEN
