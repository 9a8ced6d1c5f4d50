#!/usr/bin/env bash
# WorkOS's SDK for Node 8.13.0 checks the signature of what it serialises itself, not of what was sent.
#
# The signature covers the time and the body as sent. The SDK for Python 10.8.0 takes the body's bytes. The one for Node
# takes the parsed body (`payload: Record<string, unknown>`), and signs `JSON.stringify` of it. Of a number written `1.0`
# that is `1`, and keys that are integers come in ascending order. Such a delivery is genuine, and refused. What a sender
# in JavaScript wrote with `JSON.stringify` passes.
#
# Output seen 2026-11-30:
#   {"credits":1} Node accepts, Python accepts
#   {"credits":1.0} Node refuses, Python accepts
#   {"10":"b","9":"a"} Node refuses, Python accepts
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check workos==10.8.0
npm install --silent --no-audit --no-fund @workos-inc/node@8.13.0 >/dev/null
cat >show.js <<'JAVASCRIPT'
const { WorkOS } = require('@workos-inc/node')
const [, , body, sigHeader] = process.argv
new WorkOS('key').webhooks
  .verifyHeader({ payload: JSON.parse(body), sigHeader, secret: 'secret' })
  .then(() => console.log('accepts'), () => console.log('refuses'))
JAVASCRIPT
cat >show.py <<'PYTHON'
import sys

from workos import WorkOSClient

webhooks = WorkOSClient(api_key="key", client_id="id").webhooks
try:
    webhooks.verify_header(event_body=sys.argv[1].encode(), event_signature=sys.argv[2], secret="secret")
    print("accepts")
except ValueError:
    print("refuses")
PYTHON
for body in '{"credits":1}' '{"credits":1.0}' '{"10":"b","9":"a"}'; do
  milliseconds=$(date +%s000)
  v1=$(printf '%s.%s' "$milliseconds" "$body" | openssl dgst -sha256 -hmac secret -r | cut -d' ' -f1)
  header="t=$milliseconds, v1=$v1"
  echo "$body Node $(node show.js "$body" "$header"), Python $(venv/bin/python show.py "$body" "$header")"
done | tee seen
diff seen - <<'SEEN'
{"credits":1} Node accepts, Python accepts
{"credits":1.0} Node refuses, Python accepts
{"10":"b","9":"a"} Node refuses, Python accepts
SEEN
