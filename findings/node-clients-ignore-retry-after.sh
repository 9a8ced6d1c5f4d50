#!/usr/bin/env bash
# superagent 10.4.2 and make-fetch-happen 15.0.6 for Node ignore `Retry-After`. superagent has used up its retries at once.
#
# RFC 9110, section 10.2.3: a server that is unavailable says with `Retry-After` how long a client ought to wait. superagent's
# `retry(3)` sends a request again without any wait, so that a service that restarts for two seconds gets four of them in a
# moment, and the event is given up. make-fetch-happen, which npm uses, waits as its own settings say. got 14.6.6 and
# axios-retry 4.5.0 wait as they were told.
#
# Output seen 2026-12-01, of a server that answers 503 and `Retry-After: 2` to begin with, and 200 after two seconds:
#   superagent: gave up, did not wait
#   make-fetch-happen: 200, did not wait
#   got: 200, waited
#   axios-retry: 200, waited
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund superagent@10.4.2 make-fetch-happen@15.0.6 got@14.6.6 axios@1.21.1 axios-retry@4.5.0 >/dev/null
cat >show.mjs <<'JAVASCRIPT'
import { once } from 'node:events'
import { createServer } from 'node:http'
import axios from 'axios'
import axiosRetry from 'axios-retry'
import got from 'got'
import fetch from 'make-fetch-happen'
import superagent from 'superagent'

const client = axios.create()
axiosRetry(client, { retries: 3 })
const clients = {
  superagent: async (url) => (await superagent.get(url).retry(3)).status,
  'make-fetch-happen': async (url) => {
    const { status } = await fetch(url, { retry: { retries: 3, minTimeout: 1000, factor: 1 } })
    if (status !== 200) throw new Error(status)
    return status
  },
  got: async (url) => (await got(url, { retry: { limit: 3 } })).statusCode,
  'axios-retry': async (url) => (await client.get(url)).status,
}
for (const [name, get] of Object.entries(clients)) {
  const asked = []
  const server = createServer((_, response) => {
    asked.push(performance.now())
    if (performance.now() - asked[0] < 1900) response.writeHead(503, { 'Retry-After': '2' })
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const outcome = await get(`http://127.0.0.1:${server.address().port}/`).catch(() => 'gave up')
  console.log(`${name}: ${outcome}, ${asked[1] - asked[0] < 1900 ? 'did not wait' : 'waited'}`)
  server.close()
  server.closeAllConnections()
}
JAVASCRIPT
node show.mjs | tee seen
diff seen - <<'SEEN'
superagent: gave up, did not wait
make-fetch-happen: 200, did not wait
got: 200, waited
axios-retry: 200, waited
SEEN
