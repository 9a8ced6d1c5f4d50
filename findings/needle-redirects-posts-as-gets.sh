#!/usr/bin/env bash
# needle 3.5.0 for Node turns a POST into a GET without a body if it is redirected with 307 or 308.
#
# RFC 9110, sections 15.4.8 and 15.4.9: the request is repeated with its method after a 307, and so after a 308, its permanent
# form. needle, told to follow redirects, takes both for a 302. A webhook to a URL that has moved arrives as an empty GET. If
# that is answered with 200, the sender takes the event for delivered. The option `follow_keep_method` keeps the method, but
# also after a 303, where section 15.4.4 has GET. axios 1.21.1, got 14.6.6 and superagent 10.4.2 follow the specification.
#
# Output seen 2026-12-01, what arrives at the new place after a POST of {"id":1}:
#   needle: 303 GET, 307 GET, 308 GET
#   needle, follow_keep_method: 303 POST {"id":1}, 307 POST {"id":1}, 308 POST {"id":1}
#   axios: 303 GET, 307 POST {"id":1}, 308 POST {"id":1}
#   got: 303 GET, 307 POST {"id":1}, 308 POST {"id":1}
#   superagent: 303 GET, 307 POST {"id":1}, 308 POST {"id":1}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund needle@3.5.0 axios@1.21.1 got@14.6.6 superagent@10.4.2 >/dev/null
cat >show.mjs <<'JAVASCRIPT'
import { once } from 'node:events'
import { createServer } from 'node:http'
import axios from 'axios'
import got from 'got'
import needle from 'needle'
import superagent from 'superagent'

let arrived
const server = createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray())
  if (request.url !== '/new') return response.writeHead(Number(request.url.slice(1)), { Location: '/new' }).end()
  arrived = `${request.method} ${body}`.trim()
  response.end()
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const event = { id: 1 }
const senders = {
  needle: (url) => needle('post', url, event, { json: true, follow_max: 1 }),
  'needle, follow_keep_method': (url) => needle('post', url, event, { json: true, follow_max: 1, follow_keep_method: true }),
  axios: (url) => axios.post(url, event),
  got: (url) => got.post(url, { json: event }),
  superagent: (url) => superagent.post(url).send(event),
}
for (const [name, send] of Object.entries(senders)) {
  const seen = []
  for (const status of [303, 307, 308]) {
    arrived = 'nothing'
    await send(`http://127.0.0.1:${server.address().port}/${status}`)
    seen.push(`${status} ${arrived}`)
  }
  console.log(`${name}: ${seen.join(', ')}`)
}
server.close()
server.closeAllConnections()
JAVASCRIPT
node show.mjs | tee seen
diff seen - <<'SEEN'
needle: 303 GET, 307 GET, 308 GET
needle, follow_keep_method: 303 POST {"id":1}, 307 POST {"id":1}, 308 POST {"id":1}
axios: 303 GET, 307 POST {"id":1}, 308 POST {"id":1}
got: 303 GET, 307 POST {"id":1}, 308 POST {"id":1}
superagent: 303 GET, 307 POST {"id":1}, 308 POST {"id":1}
SEEN
