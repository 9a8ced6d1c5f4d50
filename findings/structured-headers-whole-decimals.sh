#!/usr/bin/env bash
# structured-headers 2.1.0 writes a decimal without its fraction: 1.0 becomes the integer 1, and 1.0004 becomes "1.".
#
# RFC 9651, section 4.1.5: a decimal has at least one digit behind its point, and is rounded to three. "1." is no structured
# field; the package itself refuses it. `1` is one, but an integer. structured-field-values 2.0.4 makes it one too. So with
# http-message-signatures 1.0.6, which rests on the former, a component with the parameter `sf` (RFC 9421, section 2.1.1) is
# signed as `a=1` where others compute `a=1.0`. Python's http-sf 1.5.0 keeps decimals.
#
# Output seen 2026-11-30:
#   structured-headers 1.0 -> 1, 1.0004 -> 1. (not read again)
#   structured-field-values 1.0 -> 1, 1.0004 -> 1.0
#   http-sf 1.0 -> 1.0, 1.0004 -> 1.0
#   signature base "x-load";sf: a=1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check http-sf==1.5.0
npm install --silent --no-audit --no-fund structured-headers@2.1.0 structured-field-values@2.0.4 http-message-signatures@1.0.6 >/dev/null
cat >show.mjs <<'JAVASCRIPT'
import { decodeItem, encodeItem } from 'structured-field-values'
import { ParseError, parseItem, serializeItem } from 'structured-headers'

const written = serializeItem([1.0004, new Map()])
let again = 'read again'
try {
  parseItem(written)
} catch (error) {
  if (!(error instanceof ParseError)) throw error
  again = 'not read again'
}
console.log(`structured-headers 1.0 -> ${serializeItem(parseItem('1.0'))}, 1.0004 -> ${written} (${again})`)
console.log(`structured-field-values 1.0 -> ${encodeItem(decodeItem('1.0'))}, 1.0004 -> ${encodeItem(1.0004)}`)
JAVASCRIPT
cat >sign.mjs <<'JAVASCRIPT'
import { httpbis } from 'http-message-signatures'

const request = { method: 'POST', url: 'http://localhost/', headers: { 'X-Load': 'a=1.0' } }
for (const [name, values] of httpbis.createSignatureBase({ fields: ['"x-load";sf'] }, request)) {
  console.log(`signature base ${name}: ${values.join(', ')}`)
}
JAVASCRIPT
cat >show.py <<'PYTHON'
from decimal import Decimal

import http_sf

whole = http_sf.ser(http_sf.parse(b"1.0", tltype="item"))
print(f"http-sf 1.0 -> {whole}, 1.0004 -> {http_sf.ser((Decimal('1.0004'), {}))}")
PYTHON
{
  node show.mjs
  venv/bin/python show.py
  node sign.mjs
} | tee seen
diff seen - <<'SEEN'
structured-headers 1.0 -> 1, 1.0004 -> 1. (not read again)
structured-field-values 1.0 -> 1, 1.0004 -> 1.0
http-sf 1.0 -> 1.0, 1.0004 -> 1.0
signature base "x-load";sf: a=1
SEEN
