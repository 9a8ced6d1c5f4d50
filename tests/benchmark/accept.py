"""`make bench`: deliveries accepted durably per second, as a ratio to a bare route on the same server.

Three servers run side by side: a Starlette route that reads the body and answers 200, and `receiver web` on
SQLite and on PostgreSQL (both fsync every commit). Rounds are interleaved, so that all see the same machine;
each round sends the same number of genuine, new, separately signed deliveries over keep-alive connections.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast

import uvloop

from receiver.signatures import sign
from tests.acceptance.service import SECRET, completed, service, until
from tests.servers.postgres import running
from tests.servers.require import free_ports

BARE = "bare Starlette route"


def main() -> None:
    """Run the rounds and print medians and ratios."""
    options = _options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {BARE: stack.enter_context(bare_route(folder))}
        ports["receiver, SQLite"] = stack.enter_context(receiver_web(folder / "sqlite"))
        postgres = stack.enter_context(running(durable=True))
        database = {"RECEIVER_DATABASE_URL": postgres.url}
        ports["receiver, PostgreSQL"] = stack.enter_context(receiver_web(folder / "postgres", **database))
        rates = measure(ports, options)
    report(rates, options)


def measure(ports: dict[str, int], options: argparse.Namespace) -> dict[str, list[float]]:
    """Return the accepted deliveries per second of each round, by server."""
    rates: dict[str, list[float]] = {name: [] for name in ports}
    for round_ in range(-1, options.rounds):
        for name, port in ports.items():
            requests = deliveries(options.requests, prefix=f"{round_}")
            rate = uvloop.run(send(port, requests, connections=options.connections))
            if round_ >= 0:
                rates[name].append(rate)
        print(f"round {round_ + 1} of {options.rounds}", end="\r", file=sys.stderr, flush=True)
    return rates


def report(rates: dict[str, list[float]], options: argparse.Namespace) -> None:
    """Print one line per server."""
    print(f"{options.requests} deliveries x {options.rounds} rounds, {options.connections} connections")
    for name, found in rates.items():
        ratios = [rate / bare for rate, bare in zip(found, rates[BARE], strict=True)]
        print(
            f"{name:24} median {statistics.median(found):6.0f}/s"
            f"   ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def deliveries(count: int, *, prefix: str) -> list[bytes]:
    """Write *count* genuine requests, each about another generation."""
    now = int(time.time())
    requests = []
    for number in range(count):
        name = f"gen_{prefix}_{os.getpid()}_{number}"
        body = completed(name, f"https://cdn.example.com/{name}.png")
        signature = sign(body, secret=SECRET, timestamp=now)
        head = (
            "POST /webhooks/photoverse HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"X-Webhook-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


async def send(port: int, requests: list[bytes], *, connections: int) -> float:
    """Send all *requests* and return how many were answered 200 per second."""
    waiting = iter(requests)
    started = time.perf_counter()
    await asyncio.gather(*(_converse(port, waiting) for _ in range(connections)))
    return len(requests) / (time.perf_counter() - started)


class _Conversation(asyncio.Protocol):
    """Sends one request after another; cheap, so that the load does not slow what it measures."""

    def __init__(self, waiting: Iterator[bytes]) -> None:
        self._waiting = waiting
        self._received = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]) if end else 0
        if end and len(body) >= length:
            assert head.startswith(b"HTTP/1.1 200 "), head
            self._received = b""
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))

    def _next(self) -> None:
        request = next(self._waiting, None)
        if request is not None:
            self._transport.write(request)
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()


async def _converse(port: int, waiting: Iterator[bytes]) -> None:
    loop = asyncio.get_running_loop()
    _, conversation = await loop.create_connection(lambda: _Conversation(waiting), "127.0.0.1", port)
    await conversation.done


@contextmanager
def bare_route(folder: Path) -> Iterator[int]:
    """Serve the yardstick with the server options of the product."""
    port = free_ports(1)[0]
    log = (folder / "bare.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmark.bare", str(port)], stdout=log, stderr=log
    )
    try:
        until(lambda: "listening" in (folder / "bare.log").read_text())
        yield port
    finally:
        process.terminate()
        process.wait()
        log.close()


@contextmanager
def receiver_web(folder: Path, **settings: str) -> Iterator[int]:
    """Serve `receiver web` as the Procfile does."""
    folder.mkdir()
    with service(folder, **settings) as offered:
        offered.run("migrate")
        offered.start("web")
        yield offered.port


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--connections", type=int, default=64)
    return parser.parse_args()


if __name__ == "__main__":
    main()
