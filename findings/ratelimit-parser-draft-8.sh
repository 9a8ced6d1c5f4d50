#!/usr/bin/env bash
# express-rate-limit 8.7.5 writes a RateLimit header in which its makers' own parser 0.1.0 finds NaN and an invalid date.
#
# The IETF's draft "RateLimit header fields for HTTP" changed the fields in its eighth version: a name in quotes, then `r` for
# what remains and `t` for the seconds until the reset (section 3). With `standardHeaders: 'draft-8'` the middleware sends
# those. ratelimit-header-parser recognises the header and looks for `limit=` in it. It neither raises nor returns nothing,
# so a client that waits until `reset`, or while `remaining` is 0, never waits.
#
# Output seen 2026-11-30:
#   draft-6 limit 5, remaining 4, reset known
#   draft-7 limit 5, remaining 4, reset known
#   draft-8 limit NaN, remaining NaN, reset Invalid Date
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund express@5.3.0 express-rate-limit@8.7.5 ratelimit-header-parser@0.1.0 >/dev/null
cat >show.mjs <<'JAVASCRIPT'
import { once } from 'events'
import express from 'express'
import { rateLimit } from 'express-rate-limit'
import { parseRateLimit } from 'ratelimit-header-parser'

for (const standardHeaders of ['draft-6', 'draft-7', 'draft-8']) {
  const app = express()
  app.use(rateLimit({ limit: 5, windowMs: 60000, standardHeaders, legacyHeaders: false }))
  app.get('/', (request, response) => response.send('ok'))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`)
  const { limit, remaining, reset } = parseRateLimit(answer)
  console.log(`${standardHeaders} limit ${limit}, remaining ${remaining}, reset ${Number.isNaN(+reset) ? reset : 'known'}`)
  server.close()
  server.closeAllConnections()
}
JAVASCRIPT
node show.mjs | tee seen
diff seen - <<'SEEN'
draft-6 limit 5, remaining 4, reset known
draft-7 limit 5, remaining 4, reset known
draft-8 limit NaN, remaining NaN, reset Invalid Date
SEEN
