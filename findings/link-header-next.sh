#!/usr/bin/env bash
# Four libraries look for rel="next" in a Link header. On valid headers, three of them lose the next page.
#
# RFC 8288: a URI may hold ";" (section 3, by RFC 3986), a relation may be one of several in one parameter (section 3.3),
# parameter names match in any case (section 3), and quoted values may hold ";" (appendix B.3). requests 2.34.2 and
# httpx 0.28.1 split the text at semicolons first. parse-link-header 2.0.0 takes names as written. Who pages
# through a list until there is no next link then stops after the first page. http-link-header 1.1.4 reads all.
#
# Output seen 2026-11-30, what each finds as "next":
#   </a;v=2?page=2>; rel="next": requests -, httpx -, parse-link-header /a;v=2?page=2, http-link-header /a;v=2?page=2
#   </a?page=2>; rel="next last": requests -, httpx -, parse-link-header /a?page=2, http-link-header /a?page=2
#   </a?page=2>; REL="next": requests -, httpx -, parse-link-header -, http-link-header /a?page=2
#   </a?page=2>; title="part 2; the rest"; rel="next": requests -, httpx -, parse-link-header /a?page=2, http-link-header /a?page=2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check requests==2.34.2 httpx==0.28.1
npm install --silent --no-audit --no-fund parse-link-header@2.0.0 http-link-header@1.1.4 >/dev/null
cat >show.py <<'PYTHON'
import sys

import httpx
import requests

answer = requests.Response()
answer.headers["Link"] = sys.argv[1]
for links in (answer.links, httpx.Response(200, headers={"Link": sys.argv[1]}).links):
    print(links.get("next", {}).get("url", "-"))
PYTHON
cat >show.js <<'JAVASCRIPT'
const lenient = require('parse-link-header')
const strict = require('http-link-header')
const link = process.argv[2]
console.log(lenient(link)?.next?.url ?? '-')
console.log(strict.parse(link).rel('next')[0]?.uri ?? '-')
JAVASCRIPT
while read -r link; do
  mapfile -t found < <(venv/bin/python show.py "$link" && node show.js "$link")
  echo "$link: requests ${found[0]}, httpx ${found[1]}, parse-link-header ${found[2]}, http-link-header ${found[3]}"
done <<'LINKS' | tee seen
</a;v=2?page=2>; rel="next"
</a?page=2>; rel="next last"
</a?page=2>; REL="next"
</a?page=2>; title="part 2; the rest"; rel="next"
LINKS
diff seen - <<'SEEN'
</a;v=2?page=2>; rel="next": requests -, httpx -, parse-link-header /a;v=2?page=2, http-link-header /a;v=2?page=2
</a?page=2>; rel="next last": requests -, httpx -, parse-link-header /a?page=2, http-link-header /a?page=2
</a?page=2>; REL="next": requests -, httpx -, parse-link-header -, http-link-header /a?page=2
</a?page=2>; title="part 2; the rest"; rel="next": requests -, httpx -, parse-link-header /a?page=2, http-link-header /a?page=2
SEEN
