#!/usr/bin/env bash
# Of several signatures in one header, Paddle's SDK for Node 3.10.0 looks at the last only. Its SDK for Python looks at all.
#
# Paddle's "Verify webhook signatures" says that `Paddle-Signature` contains at least one `h1`, so there may be more, as while
# a secret is rotated. Python's SDK 1.16.1 keeps them in a list. The one for Node keeps one string, which each `h1`
# overwrites. A receiver that still has the old secret refuses what was signed for it, if the new one comes last.
#
# Output seen 2026-11-30, of a header with the old and the new secret's `h1`, checked with the old secret:
#   Node, old last: true
#   Node, old first: false
#   Python, old last: True
#   Python, old first: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check paddle-python-sdk==1.16.1
npm install --silent --no-audit --no-fund @paddle/paddle-node-sdk@3.10.0 >/dev/null
cat >show.js <<'JAVASCRIPT'
const { Paddle } = require('@paddle/paddle-node-sdk')
new Paddle('key').webhooks.isSignatureValid('{}', 'old-secret', process.argv[2]).then(console.log)
JAVASCRIPT
cat >show.py <<'PYTHON'
import sys

from paddle_billing.Notifications import Secret
from paddle_billing.Notifications.PaddleSignature import PaddleSignature

print(PaddleSignature().verify(sys.argv[1], "{}", Secret("old-secret")))
PYTHON
seconds=$(date +%s)
h1() { printf '%s:{}' "$seconds" | openssl dgst -sha256 -hmac "$1" -r | cut -d' ' -f1; }
old_last="ts=$seconds;h1=$(h1 new-secret);h1=$(h1 old-secret)"
old_first="ts=$seconds;h1=$(h1 old-secret);h1=$(h1 new-secret)"
{
  echo "Node, old last: $(node show.js "$old_last")"
  echo "Node, old first: $(node show.js "$old_first")"
  echo "Python, old last: $(venv/bin/python show.py "$old_last")"
  echo "Python, old first: $(venv/bin/python show.py "$old_first")"
} | tee seen
diff seen - <<'SEEN'
Node, old last: true
Node, old first: false
Python, old last: True
Python, old first: True
SEEN
