#!/usr/bin/env bash
# A signed query parameter with ( ) ! ' or ~: Python's http-message-signatures 3.0.0 refuses what Node's 1.0.6 signed.
#
# RFC 9421, section 2.2.8: the value of `@query-param` is decoded, then encoded as in URL-encoded forms, which leave only
# letters, digits and `*-._` as they are. Node's package takes `encodeURIComponent`, which leaves those five too. It also
# omits the `?` of an empty query from `@request-target` (2.2.5), and the `/` from a `@target-uri` whose URL has no path
# (2.2.2). Tests with simple parameters pass, and then somebody is called "Ann (Paris)".
#
# Output seen 2026-11-30, what Python says of requests that Node signed:
#   "@query-param";name="who" /hook?who=Ann%20Lee: verified
#   "@query-param";name="who" /hook?who=Ann%20(Paris): InvalidSignature
#   "@query-param";name="who" /hook?who=O'Brien: InvalidSignature
#   "@query-param";name="who" /hook?who=~ann: InvalidSignature
#   "@request-target" /hook?who=ann: verified
#   "@request-target" /hook?: InvalidSignature
#   "@target-uri" /hook: verified
#   "@target-uri" : InvalidSignature
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check http-message-signatures==3.0.0
npm install --silent --no-audit --no-fund http-message-signatures@1.0.6 >/dev/null
cat >sign.mjs <<'JAVASCRIPT'
import { createSigner, httpbis } from 'http-message-signatures'

const name = '"@query-param";name="who"'
const requests = [
  [name, '/hook?who=Ann%20Lee'],
  [name, '/hook?who=Ann%20(Paris)'],
  [name, "/hook?who=O'Brien"],
  [name, '/hook?who=~ann'],
  ['"@request-target"', '/hook?who=ann'],
  ['"@request-target"', '/hook?'],
  ['"@target-uri"', '/hook'],
  ['"@target-uri"', ''],
]
const key = createSigner('secret', 'hmac-sha256', 'key')
const signed = requests.map(async ([component, target]) => {
  const request = { method: 'GET', url: `https://example.com${target}`, headers: {} }
  return { component, target, ...(await httpbis.signMessage({ key, fields: [component] }, request)) }
})
console.log(JSON.stringify(await Promise.all(signed)))
JAVASCRIPT
cat >show.py <<'PYTHON'
import json
import sys

from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.exceptions import InvalidSignature


class Keys(HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id):
        return b"secret"


class Request:
    def __init__(self, signed):
        self.method, self.url, self.headers = signed["method"], signed["url"], signed["headers"]


verifier = HTTPMessageVerifier(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=Keys())
for signed in json.load(sys.stdin):
    try:
        verifier.verify(Request(signed))
        result = "verified"
    except InvalidSignature as error:
        result = type(error).__name__
    print(f"{signed['component']} {signed['target']}: {result}")
PYTHON
node sign.mjs | venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
"@query-param";name="who" /hook?who=Ann%20Lee: verified
"@query-param";name="who" /hook?who=Ann%20(Paris): InvalidSignature
"@query-param";name="who" /hook?who=O'Brien: InvalidSignature
"@query-param";name="who" /hook?who=~ann: InvalidSignature
"@request-target" /hook?who=ann: verified
"@request-target" /hook?: InvalidSignature
"@target-uri" /hook: verified
"@target-uri" : InvalidSignature
SEEN
