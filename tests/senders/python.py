"""`python python.py LIBRARY FOLDER URL IDLE_S`: what tests/senders/drive.py asks, by a Python library.

It runs in any environment that has the library.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

Post = Callable[[str, Any], int]


def requests(url: str, signature: Callable[[str], dict[str, str]]) -> Post:
    """Post with a session of requests."""
    session = import_module("requests").Session()
    return lambda name, body: int(session.post(url, data=body, headers=signature(name)).status_code)


def httpx(url: str, signature: Callable[[str], dict[str, str]], library: str = "httpx") -> Post:
    """Post with a client of httpx, or of its fork."""
    client = import_module(library).Client()
    return lambda name, body: int(client.post(url, content=body, headers=signature(name)).status_code)


def httpx2(url: str, signature: Callable[[str], dict[str, str]]) -> Post:
    """Post with the client of httpx2."""
    return httpx(url, signature, "httpx2")


def aiohttp(url: str, signature: Callable[[str], dict[str, str]]) -> Post:
    """Post with a session of aiohttp."""
    loop = asyncio.new_event_loop()

    async def open_session() -> Any:
        return import_module("aiohttp").ClientSession()

    async def pieces(body: Iterator[bytes]) -> AsyncIterator[bytes]:
        for piece in body:
            yield piece

    async def post(name: str, body: Any) -> int:
        data = body if isinstance(body, bytes) else pieces(body)
        expects = name == "expect"
        async with session.post(url, data=data, headers=signature(name), expect100=expects) as response:
            await response.read()
            return int(response.status)

    session = loop.run_until_complete(open_session())
    return lambda name, body: loop.run_until_complete(post(name, body))


def main() -> None:
    """Send and print."""
    library, folder, url, idle_s = sys.argv[1:]
    client = {"requests": requests, "httpx": httpx, "httpx2": httpx2, "aiohttp": aiohttp}[library]

    def signature(name: str) -> dict[str, str]:
        value = Path(folder, f"{name}.sig").read_text()
        return {"Content-Type": "application/json", "X-Webhook-Signature": value}

    def send(name: str, cut: Callable[[bytes], Any] = bytes) -> None:
        print(name, post(name, cut(Path(folder, f"{name}.json").read_bytes())), flush=True)

    def pieces(body: bytes) -> Iterator[bytes]:
        return (body[start : start + 100] for start in range(0, len(body), 100))

    post = client(url, signature)
    send("fresh")
    send("reused")
    time.sleep(float(idle_s))
    send("idle")
    send("chunked", pieces)
    send("large")
    if library == "aiohttp":
        send("expect")


main()
