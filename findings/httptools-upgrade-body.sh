#!/usr/bin/env bash
# httptools 0.8.0 drops the body of a request that offers to upgrade the connection.
#
# RFC 9110, section 7.8: a server may ignore an Upgrade offer, and the request then means what it would have
# meant without it. The JDK's HttpClient makes that offer (h2c) with each plain-http POST. httptools treats all
# that follows such a head as another protocol: it reports the message complete without its body.
# uvicorn 0.54.0 on httptools then hands the application an empty body; on h11 it hands over all of it.
# A webhook sent by such a client fails its signature check on the one and holds on the other.
#
# Output seen 2026-11-29:
#   httptools b''
#   h11 b'{}'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0 httptools==0.8.0 h11==0.16.0
cat >"$folder/show.py" <<'PYTHON'
import asyncio
import sys

import uvicorn

seen = []


async def app(scope, receive, send):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    seen.append(body)
    await send({"type": "http.response.start", "status": 204, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body"})


async def main(parser):
    config = uvicorn.Config(app, port=0, http=parser, ws="none", lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n{}"
    )
    await asyncio.wait_for(reader.read(), 10)
    writer.close()
    server.should_exit = True
    await serving
    print(parser, seen[0])


asyncio.run(main(sys.argv[1]))
PYTHON
for parser in httptools h11; do "$folder/venv/bin/python" "$folder/show.py" "$parser"; done | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
httptools b''
h11 b'{}'
SEEN
