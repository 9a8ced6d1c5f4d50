#!/usr/bin/env bash
# sirv 3.0.2 for Node, the file server of Vite's preview, answers `bytes=-3` with the first four bytes instead of the last three.
#
# RFC 9110, section 14.1.2: `bytes=-3` is the last three bytes. Section 14.2: a range in a unit that the server does not know is
# ignored. sirv takes a missing first position for 0 and reads no unit at all. It answers 206 with a `Content-Range` that fits
# what it sends, so a reader of the index at the end of an MP4, a Parquet file or a ZIP gets no error. It also misses its own
# entity tag in a list, which section 13.1.2 allows in `If-None-Match`. Express 5.3.0 follows the specification.
#
# Output seen 2026-12-01, of a file with 0123456789:
#   sirv bytes=2-5: 206 bytes 2-5/10 2345
#   sirv bytes=-3: 206 bytes 0-3/10 0123
#   sirv items=2-5: 206 bytes 0-5/10 012345
#   sirv If-None-Match: "x", <its tag>: 200
#   express bytes=2-5: 206 bytes 2-5/10 2345
#   express bytes=-3: 206 bytes 7-9/10 789
#   express items=2-5: 200 undefined 0123456789
#   express If-None-Match: "x", <its tag>: 304
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund sirv@3.0.2 express@5.3.0 >/dev/null
mkdir public
printf 0123456789 >public/file
cat >show.mjs <<'JAVASCRIPT'
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { text } from 'node:stream/consumers'
import express from 'express'
import sirv from 'sirv'

const app = express()
app.use(express.static('public'))
for (const [name, handler] of Object.entries({ sirv: sirv('public', { etag: true }), express: app })) {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const ask = async (headers) => {
    const [answer] = await once(get(`http://127.0.0.1:${server.address().port}/file`, { headers }), 'response')
    return { status: answer.statusCode, headers: answer.headers, body: await text(answer) }
  }
  for (const Range of ['bytes=2-5', 'bytes=-3', 'items=2-5']) {
    const { status, headers, body } = await ask({ Range })
    console.log(`${name} ${Range}: ${status} ${headers['content-range']} ${body}`)
  }
  const tag = (await ask({})).headers.etag
  const { status } = await ask({ 'If-None-Match': `"x", ${tag}` })
  console.log(`${name} If-None-Match: "x", <its tag>: ${status}`)
  server.close()
  server.closeAllConnections()
}
JAVASCRIPT
node show.mjs | tee seen
diff seen - <<'SEEN'
sirv bytes=2-5: 206 bytes 2-5/10 2345
sirv bytes=-3: 206 bytes 0-3/10 0123
sirv items=2-5: 206 bytes 0-5/10 012345
sirv If-None-Match: "x", <its tag>: 200
express bytes=2-5: 206 bytes 2-5/10 2345
express bytes=-3: 206 bytes 7-9/10 789
express items=2-5: 200 undefined 0123456789
express If-None-Match: "x", <its tag>: 304
SEEN
