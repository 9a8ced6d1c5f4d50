#!/usr/bin/env bash
# An attribute in a header means one thing to Python's SDK of CloudEvents, and another to those of JavaScript and Go.
#
# The HTTP binding of CloudEvents 1.0.2, section 3.1.3.2, has senders percent-encode spaces, `"`, `%` and all that is not
# printable ASCII in the value of a header, and receivers decode it. Python's SDK 2.2.0 does both. JavaScript's 10.0.0 and
# Go's 2.16.2 do neither: from Python they read `50%20%25%20off`, and Python reads their `100%25` as `100%`.
# In structured mode, where attributes are in the body, all three agree.
#
# Output seen 2026-11-30, the subject as sent and as read:
#   Python sends '50 % off', JavaScript reads '50%20%25%20off'
#   Python sends '50 % off', Go reads '50%20%25%20off'
#   JavaScript sends '100%25', Python reads '100%'
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check cloudevents==2.2.0
npm install --silent --no-audit --no-fund cloudevents@10.0.0 >/dev/null
cat >show.py <<'PYTHON'
import json
import sys

from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent

if sys.argv[1] == "write":
    event = CloudEvent({"specversion": "1.0", "id": "1", "source": "urn:x", "type": "t", "subject": sys.argv[2]}, None)
    print(json.dumps(http.to_binary_event(event).headers))
else:
    headers = json.loads(sys.argv[2])
    print(http.from_binary_event(http.HTTPMessage(headers, b"")).get_subject())
PYTHON
cat >show.js <<'JAVASCRIPT'
const { CloudEvent, HTTP } = require('cloudevents')
const [, , verb, value] = process.argv
if (verb === 'write') {
  const event = new CloudEvent({ id: '1', source: 'urn:x', type: 't', subject: value })
  console.log(JSON.stringify(HTTP.binary(event).headers))
} else {
  console.log(HTTP.toEvent({ headers: JSON.parse(value), body: '' }).subject)
}
JAVASCRIPT
cat >show.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	events "github.com/cloudevents/sdk-go/v2"
)

func main() {
	headers := map[string]string{}
	if err := json.Unmarshal([]byte(os.Args[1]), &headers); err != nil {
		panic(err)
	}
	request, _ := http.NewRequest("POST", "http://localhost", nil)
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	event, err := events.NewEventFromHTTPRequest(request)
	if err != nil {
		panic(err)
	}
	fmt.Println(event.Subject())
}
GO
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/cloudevents/sdk-go/v2@v2.16.2 >/dev/null 2>&1
python_sent=$(venv/bin/python show.py write '50 % off')
javascript_sent=$(node show.js write '100%25')
{
  echo "Python sends '50 % off', JavaScript reads '$(node show.js read "$python_sent")'"
  echo "Python sends '50 % off', Go reads '$(go run show.go "$python_sent")'"
  echo "JavaScript sends '100%25', Python reads '$(venv/bin/python show.py read "$javascript_sent")'"
} | tee seen
diff seen - <<'SEEN'
Python sends '50 % off', JavaScript reads '50%20%25%20off'
Python sends '50 % off', Go reads '50%20%25%20off'
JavaScript sends '100%25', Python reads '100%'
SEEN
