#!/usr/bin/env bash
# aiohttp-client-cache 0.15.0, told to follow Cache-Control, answers a request for XML with JSON, and reuses what is `no-cache`.
#
# RFC 9111, section 4.1: an answer with `Vary` is reused only for a request with the same values of those headers. Section
# 5.2.2.4: after `no-cache` each use asks the server first. Section 5.2: names of directives may have capitals. Section 5.3:
# an `Expires` that is no date, such as 0, is in the past. The package heeds none of these, though `cache_control=True` is
# set. A poller sees old events until they expire. requests-cache 1.3.3 and CacheControl 0.14.4 heed them. But none of the
# three counts the `Age` with which an answer arrives (section 4.2.3).
#
# Output seen 2026-12-01, where the second answer comes from:
#   Vary: Accept, another Accept: requests-cache server, CacheControl server, aiohttp-client-cache cache
#   Cache-Control: no-cache: requests-cache server, CacheControl server, aiohttp-client-cache cache
#   Cache-Control: Max-Age=0: requests-cache server, CacheControl server, aiohttp-client-cache cache
#   Cache-Control: max-age=0: requests-cache server, CacheControl server, aiohttp-client-cache server
#   Expires: 0: requests-cache server, CacheControl server, aiohttp-client-cache cache
#   Age: 100, Cache-Control: max-age=60: requests-cache cache, CacheControl cache, aiohttp-client-cache cache
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check requests-cache==1.3.3 cachecontrol==0.14.4 aiohttp-client-cache==0.15.0 aiohttp==3.14.5 requests==2.34.2
cat >show.py <<'PYTHON'
import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from aiohttp_client_cache import CacheBackend
from aiohttp_client_cache import CachedSession as AiohttpSession
from cachecontrol import CacheControl
from requests_cache import CachedSession

CASES = {
    "Vary: Accept, another Accept": {"Cache-Control": "max-age=60", "Vary": "Accept"},
    "Cache-Control: no-cache": {"Cache-Control": "no-cache"},
    "Cache-Control: Max-Age=0": {"Cache-Control": "Max-Age=0"},
    "Cache-Control: max-age=0": {"Cache-Control": "max-age=0"},
    "Expires: 0": {"Expires": "0"},
    "Age: 100, Cache-Control: max-age=60": {"Age": "100", "Cache-Control": "max-age=60"},
}
asked = []


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        self.send_response(200)
        for name, value in list(CASES.values())[int(self.path[1:])].items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def source(before):
    return "server" if len(asked) == before + 2 else "cache"


def blocking(session, url, accepts):
    before = len(asked)
    for accept in accepts:
        session.get(url, headers={"Accept": accept})
    return source(before)


async def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sessions = {
        "requests-cache": CachedSession(backend="memory", cache_control=True),
        "CacheControl": CacheControl(requests.Session()),
    }
    async with AiohttpSession(cache=CacheBackend(cache_control=True)) as session:
        for number, (name, headers) in enumerate(CASES.items()):
            url = f"http://127.0.0.1:{server.server_port}/{number}"
            accepts = ("application/json", "application/xml" if "Vary" in headers else "application/json")
            seen = [f"{cache} {blocking(other, url, accepts)}" for cache, other in sessions.items()]
            before = len(asked)
            for accept in accepts:
                async with session.get(url, headers={"Accept": accept}) as answer:
                    await answer.read()
            print(f"{name}: {', '.join(seen)}, aiohttp-client-cache {source(before)}")


asyncio.run(main())
PYTHON
venv/bin/python show.py | tee seen
diff seen - <<'SEEN'
Vary: Accept, another Accept: requests-cache server, CacheControl server, aiohttp-client-cache cache
Cache-Control: no-cache: requests-cache server, CacheControl server, aiohttp-client-cache cache
Cache-Control: Max-Age=0: requests-cache server, CacheControl server, aiohttp-client-cache cache
Cache-Control: max-age=0: requests-cache server, CacheControl server, aiohttp-client-cache server
Expires: 0: requests-cache server, CacheControl server, aiohttp-client-cache cache
Age: 100, Cache-Control: max-age=60: requests-cache cache, CacheControl cache, aiohttp-client-cache cache
SEEN
