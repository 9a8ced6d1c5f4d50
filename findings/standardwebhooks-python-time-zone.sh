#!/usr/bin/env bash
# Python's standardwebhooks 1.1.0 signs a time with another offset than UTC as a different moment.
#
# The Standard Webhooks specification signs `id.timestamp.payload`, where the timestamp is in seconds since the epoch.
# `Webhook.sign` takes a `datetime`, and replaces its time zone by UTC instead of converting to it: noon at +02:00 is signed
# as noon in UTC. The sender puts the right seconds into `webhook-timestamp`, and every receiver refuses the delivery.
# With the same moment given in UTC it is accepted. JavaScript's package 1.1.1 takes a `Date`, which has no zone.
#
# Output seen 2026-11-30, one moment written in two zones, signed by Python and checked by JavaScript:
#   UTC accepted
#   UTC+02:00 No matching signature found
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check standardwebhooks==1.1.0
npm install --silent --no-audit --no-fund standardwebhooks@1.1.1 >/dev/null
cat >sign.py <<'PYTHON'
import json
from datetime import datetime, timedelta, timezone

from standardwebhooks import Webhook

now = datetime.now(timezone.utc)
for zone in (timezone.utc, timezone(timedelta(hours=2))):
    signature = Webhook("c2VjcmV0").sign("msg_1", now.astimezone(zone), "{}")
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    print(json.dumps([str(zone), headers]))
PYTHON
cat >verify.js <<'JAVASCRIPT'
const { Webhook } = require('standardwebhooks')
for (const line of require('fs').readFileSync(0, 'utf8').trim().split('\n')) {
  const [zone, headers] = JSON.parse(line)
  try {
    new Webhook('c2VjcmV0').verify('{}', headers)
    console.log(zone, 'accepted')
  } catch (error) {
    console.log(zone, error.message)
  }
}
JAVASCRIPT
venv/bin/python sign.py | node verify.js | tee seen
diff seen - <<'SEEN'
UTC accepted
UTC+02:00 No matching signature found
SEEN
