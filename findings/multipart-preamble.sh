#!/usr/bin/env bash
# requests-toolbelt 1.0.0 for Python and parse-multipart-data 1.5.0 for Node cannot read some valid multipart bodies.
#
# RFC 2046, section 5.1.1: text may stand before the first part, and is ignored. The decoder of requests-toolbelt takes it for
# a part without headers and raises. RFC 9110, section 5.6.4, and RFC 2183: a quoted file name may hold ";".
# parse-multipart-data cuts it there and raises a SyntaxError about JSON. Python's `email` reads all of them.
#
# Output seen 2026-11-30:
#   plain: email b'hello', requests-toolbelt b'hello', parse-multipart-data hello
#   preamble: email b'hello', requests-toolbelt ImproperBodyPartContentException, parse-multipart-data hello
#   file name a;b.txt: email b'hello', requests-toolbelt b'hello', parse-multipart-data SyntaxError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check requests-toolbelt==1.0.0
npm install --silent --no-audit --no-fund parse-multipart-data@1.5.0 >/dev/null
cat >show.js <<'JAVASCRIPT'
const { parse } = require('parse-multipart-data')

try {
  console.log(parse(require('fs').readFileSync(0), 'edge').map((part) => String(part.data)).join())
} catch (error) {
  console.log(error.constructor.name)
}
JAVASCRIPT
cat >show.py <<'PYTHON'
import subprocess
from email import message_from_bytes

from requests_toolbelt.multipart.decoder import ImproperBodyPartContentException, MultipartDecoder

TYPE = "multipart/form-data; boundary=edge"


def show(name, file, before=b""):
    header = b'Content-Disposition: form-data; name="file"; filename="%s"\r\nContent-Type: text/plain\r\n\r\n' % file
    body = before + b"--edge\r\n" + header + b"hello\r\n--edge--\r\n"
    standard = message_from_bytes(f"Content-Type: {TYPE}\r\n\r\n".encode() + body).get_payload()[0].get_payload(decode=True)
    try:
        toolbelt = MultipartDecoder(body, TYPE).parts[0].content
    except ImproperBodyPartContentException as error:
        toolbelt = type(error).__name__
    node = subprocess.check_output(["node", "show.js"], input=body).decode().strip()
    print(f"{name}: email {standard}, requests-toolbelt {toolbelt}, parse-multipart-data {node}")


show("plain", b"a.txt")
show("preamble", b"a.txt", b"This is a multipart message.\r\n")
show("file name a;b.txt", b"a;b.txt")
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
plain: email b'hello', requests-toolbelt b'hello', parse-multipart-data hello
preamble: email b'hello', requests-toolbelt ImproperBodyPartContentException, parse-multipart-data hello
file name a;b.txt: email b'hello', requests-toolbelt b'hello', parse-multipart-data SyntaxError
SEEN
