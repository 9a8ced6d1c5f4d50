#!/usr/bin/env bash
# uvloop 0.23.0 accepts one connection per turn of its loop; asyncio's own loop accepts all that wait at once.
#
# asyncio accepts up to `backlog` connections whenever the listening socket is readable. uvloop brings libuv,
# which accepts one and looks at all sockets again. On a busy server a turn lasts as long as the open connections
# have work for: of N clients that connect at the same moment the last waits N such turns in the kernel's backlog.
# Nothing is lost, but a load test that counts the first request of each connection measures the backlog.
#
# Output seen 2026-11-29, turns between the first and the last of 64 connections made before the server starts:
#   asyncio 0
#   uvloop 63
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvloop==0.23.0
cat >"$folder/show.py" <<'PYTHON'
import asyncio
import socket
import sys

import uvloop

CLIENTS = 64


async def turns_between_first_and_last() -> int:
    loop = asyncio.get_running_loop()
    turn, made, all_made = 0, [], asyncio.Event()

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(turn)
            if len(made) == CLIENTS:
                all_made.set()

    def next_turn() -> None:
        nonlocal turn
        turn += 1
        if not all_made.is_set():
            loop.call_soon(next_turn)

    with socket.create_server(("127.0.0.1", 0), backlog=CLIENTS) as listener:
        clients = [socket.create_connection(listener.getsockname()) for _ in range(CLIENTS)]
        server = await loop.create_server(Protocol, sock=listener, backlog=CLIENTS)
        next_turn()
        await asyncio.wait_for(all_made.wait(), 10)
        for client in clients:
            client.close()
        server.close()
    return made[-1] - made[0]


run = {"asyncio": asyncio.run, "uvloop": uvloop.run}[sys.argv[1]]
print(sys.argv[1], run(turns_between_first_and_last()))
PYTHON
for loop in asyncio uvloop; do "$folder/venv/bin/python" "$folder/show.py" "$loop"; done | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
asyncio 0
uvloop 63
SEEN
