#!/usr/bin/env bash
# The JavaScript SDK of CloudEvents 10.0.0 reads no data where the data is 0, false or an empty string.
#
# The JSON format of CloudEvents 1.0.2, section 3.1: `data` may be any JSON value. The SDK writes all of these, but when it
# reads an event, `data` is undefined where its value counts as false in JavaScript. An empty list, a number other than
# 0 and true arrive.
#
# Output seen 2026-11-30, written by the SDK and read by it:
#   0 undefined
#   false undefined
#   "" undefined
#   1 1
#   true true
#   [] []
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund cloudevents@10.0.0 >/dev/null
cat >show.js <<'JAVASCRIPT'
const { CloudEvent, HTTP } = require('cloudevents')
for (const data of [0, false, '', 1, true, []]) {
  const message = HTTP.structured(new CloudEvent({ id: '1', source: 'urn:x', type: 't', data }))
  if (JSON.stringify(JSON.parse(message.body).data) !== JSON.stringify(data)) throw new Error('not written')
  console.log(JSON.stringify(data), JSON.stringify(HTTP.toEvent(message).data))
}
JAVASCRIPT
node show.js | tee seen
diff seen - <<'SEEN'
0 undefined
false undefined
"" undefined
1 1
true true
[] []
SEEN
