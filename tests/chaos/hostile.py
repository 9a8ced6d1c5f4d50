"""Strangers without a secret, and genuine deliveries beside them."""

import hashlib
import hmac
import itertools
import json
import os
import re
import socket
import statistics
import struct
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from receiver import ecmajson
from receiver.signatures import sign
from tests.acceptance.service import SECRET, Service, completed
from tests.servers import warm

EVERY_S: Final = 0.2
GENUINE_FROM: Final = "127.0.0.2"
"""Strangers are 127.0.0.1: what is counted against them is not counted against genuine senders."""
_HEAD: Final = "POST /webhooks/photoverse HTTP/1.1\r\nHost: h\r\n"
_64K: Final = 64 * 1024


def _filled(unit: str, opening: str = "[", closing: str = "]") -> bytes:
    return f"{opening}{','.join([unit] * ((_64K - 2) // (len(unit) + 1)))}{closing}".encode()


FORGED: Final = {
    "brackets": _filled("[]"),
    "objects": _filled("{}"),
    "nested": _filled("[" * 60 + "]" * 60),
    "numbers": _filled("1e-7"),
    "zeros": _filled("0"),
    "strings": _filled('""'),
    "one string": b'"' + b"x" * (_64K - 2) + b'"',
    "escapes": b'"' + b"\\u0001" * 10_900 + b'"',
    "names": ("{" + ",".join(f'"{n}":0' for n in range(7000, 0, -1)) + "}").encode(),
    "few values, long": b"[" + b",".join([b'"' + b"\\u00e9" * 21 + b'"'] * 480) + b"]",
}
"""Bodies up to 64 KiB in every shape that parsing or printing JSON has trouble with."""


def forged(body: bytes) -> bytes:
    """Write a delivery with a fresh time and a signature that is none."""
    wrong = hmac.new(b"nobody", body, hashlib.sha256).hexdigest()
    head = f"X-Webhook-Signature: t={int(time.time())},v1={wrong}\r\nContent-Length: {len(body)}\r\n\r\n"
    return (_HEAD + head).encode() + body


@dataclass
class Genuine:
    """Deliveries at a steady rate, signed over their bytes and over their JSON.stringify form in turn."""

    port: int
    seconds: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Deliver until told to stop."""
        number = 0
        while not self._stop.wait(EVERY_S):
            number += 1
            began = time.perf_counter()
            try:
                self.answers[self._deliver(number)] += 1
            except OSError as error:
                self.answers[repr(error)] += 1
            self.seconds.append(time.perf_counter() - began)

    def stop(self) -> None:
        """End after the delivery under way."""
        self._stop.set()

    @property
    def p50_ms(self) -> float:
        """How long half of them took at most."""
        return statistics.median(self.seconds or [0.0]) * 1000

    @property
    def p99_ms(self) -> float:
        """How long the slowest of a hundred took."""
        if len(self.seconds) < 2:
            return 0.0
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[98] * 1000

    def delivery(self, number: int) -> bytes:
        """Write one request, after which the connection ends."""
        body = json.dumps(json.loads(completed(f"gen_{id(self)}_{number}", None)), indent=1).encode()
        signed = ecmajson.stringify(body) if number % 2 else body
        header = sign(signed, secret=SECRET, timestamp=int(time.time()))
        head = f"X-Webhook-Signature: {header}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return (_HEAD + head).encode() + body

    def _deliver(self, number: int) -> str:
        address = ("127.0.0.1", self.port)
        with socket.create_connection(address, 30, (GENUINE_FROM, 0)) as connection:
            connection.sendall(self.delivery(number))
            return connection.recv(4096)[9:12].decode()


Attack = Callable[[int, float], None]
"""Takes the port, and the `time.monotonic` at which it ends."""


def _talk(port: int, ends: float, data: bytes) -> None:
    """Say *data* and read an answer, on one connection for as long as that is kept open."""
    while time.monotonic() < ends:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            while time.monotonic() < ends:
                connection.sendall(data)
                if not connection.recv(65536):
                    break


def forging(body: bytes) -> Attack:
    """Send forged deliveries of *body*."""
    return lambda port, ends: _talk(port, ends, forged(body))


def malformed(port: int, ends: float) -> None:
    """Talk nonsense, each time on a new connection."""
    _talk(port, ends, b"\x16\x03\x01 nonsense\r\n\r\n")


def header_flood(port: int, ends: float) -> None:
    """Send headers far over the bound in one breath."""
    _talk(port, ends, _HEAD.encode() + b"".join(b"x-%d: %b\r\n" % (n, b"y" * 50) for n in range(3000)))


def header_flood_in_segments(port: int, ends: float) -> None:
    """Send headers far over the bound a few at a time, each time in a segment of its own."""
    while time.monotonic() < ends:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(_HEAD.encode())
            for number in range(300):
                connection.sendall(b"".join(b"x-%d-%d: %b\r\n" % (number, n, b"y" * 50) for n in range(10)))


def slow_headers(port: int, ends: float) -> None:
    """Send a head a header at a time, and never end it."""
    while time.monotonic() < ends:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(_HEAD.encode())
            while time.monotonic() < ends:
                connection.sendall(b"x: y\r\n")
                time.sleep(0.3)


def malformed_posts(port: int, ends: float) -> None:
    """Post to the right path what is no delivery, in every way, as fast as answers come."""
    posts = (
        _HEAD + "Content-Length: 2\r\n\r\n{}",
        _HEAD + "Content-Length: x\r\n\r\n",
        _HEAD + "Content-Length: 3\r\nX-Webhook-Signature: t=,v1=\r\n\r\n{]}",
        _HEAD + "Transfer-Encoding: chunked\r\n\r\nno chunk\r\n",
        "POST /webhooks/nobody HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    )
    for post in itertools.cycle(posts):
        if time.monotonic() > ends:
            return
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            while time.monotonic() < ends:
                connection.sendall(post.encode())
                if not connection.recv(65536) or post is not posts[0]:
                    break


def one_byte_chunks(port: int, ends: float) -> None:
    """Cut a body into as many chunks as it has bytes."""
    _talk(port, ends, f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + b"1\r\nx\r\n" * 60_000)


def pipelining(port: int, ends: float) -> None:
    """Send a thousand small requests in one breath."""
    _talk(port, ends, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 1000)


def tiny_headers(port: int, ends: float) -> None:
    """Hold heads that never end on eight connections each, in headers of hardly any bytes."""
    _hold(port, ends, _HEAD.encode() + b"ab:\r\n" * 3200)


def tiny_pieces(port: int, ends: float) -> None:
    """Hold bodies that never end on eight connections each, in pieces of hardly any bytes."""
    _hold(port, ends, f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + b"2\r\nxx\r\n" * 4000)


def _hold(port: int, ends: float, data: bytes) -> None:
    held = []
    with suppress(OSError):
        for _ in range(8):
            held.append(socket.create_connection(("127.0.0.1", port), timeout=5))
            held[-1].sendall(data)
    time.sleep(max(0.0, ends - time.monotonic()))
    for connection in held:
        connection.close()


def answers_not_taken(port: int, ends: float) -> None:
    """Ask on and on, and take no answer."""
    asked = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 20_000
    with suppress(OSError), socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.settimeout(0.1)
        while time.monotonic() < ends:
            with suppress(TimeoutError):
                connection.send(asked)


def made_up_clients(port: int, ends: float) -> None:
    """Name other proxies at great length in each request."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        while time.monotonic() < ends:
            made_up = os.urandom(7500).hex()
            post = f"{_HEAD}X-Forwarded-For: {made_up}\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(post.encode())
            connection.recv(65536)


def slow_bodies(port: int, ends: float) -> None:
    """Hold most of a large body back."""
    head = f"{_HEAD}Content-Length: 262144\r\n\r\n".encode()
    while time.monotonic() < ends:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(head + b"x" * 200_000)
            while time.monotonic() < ends:
                connection.sendall(b"x")
                time.sleep(0.3)


def idle_sockets(port: int, ends: float) -> None:
    """Hold eight connections each, and say nothing."""
    _hold(port, ends, b"")


def resets(port: int, ends: float) -> None:
    """Connect, say something and reset the connection, without waiting for anything."""
    _leave(port, ends, _HEAD.encode(), linger=struct.pack("ii", 1, 0))


def hang_ups(port: int, ends: float) -> None:
    """Connect, ask a hundred times and hang up, without waiting for an answer."""
    _leave(port, ends, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 100)


def forged_hang_ups(port: int, ends: float) -> None:
    """Connect, send a forged delivery that is dear to check, and hang up."""
    _leave(port, ends, forged(FORGED["few values, long"]))


def _leave(port: int, ends: float, data: bytes, *, linger: bytes = struct.pack("ii", 0, 0)) -> None:
    while time.monotonic() < ends:
        with suppress(OSError), socket.socket() as connection:
            connection.settimeout(5)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.connect(("127.0.0.1", port))
            connection.sendall(data)


def churn(port: int, ends: float) -> None:
    """Keep more heads that never end than connections are held, and begin new ones all the time."""
    kept: deque[socket.socket] = deque()
    while time.monotonic() < ends:
        with suppress(OSError):
            kept.append(socket.create_connection(("127.0.0.1", port), timeout=5))
            kept[-1].sendall(_HEAD.encode())
        if len(kept) > 150:
            kept.popleft().close()
    for connection in kept:
        connection.close()


def chunk_extensions(port: int, ends: float) -> None:
    """Send a kilobyte of extensions with each byte of a body."""
    chunk = b"1;" + b"a=b;" * 250 + b"\r\nx\r\n"
    _talk(port, ends, f"{_HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 1000)


def readiness(port: int, ends: float) -> None:
    """Ask five hundred times in one breath for what writes to the database."""
    _talk(port, ends, b"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n" * 500)


ATTACKS: Final[dict[str, Attack]] = {
    **{f"forged {name}": forging(body) for name, body in FORGED.items()},
    "malformed": malformed,
    "malformed posts": malformed_posts,
    "header flood": header_flood,
    "header flood, segments": header_flood_in_segments,
    "slow headers": slow_headers,
    "one-byte chunks": one_byte_chunks,
    "pipelining": pipelining,
    "tiny headers": tiny_headers,
    "tiny pieces": tiny_pieces,
    "answers not taken": answers_not_taken,
    "made-up clients": made_up_clients,
    "slow bodies": slow_bodies,
    "500 idle sockets": idle_sockets,
    "resets": resets,
    "hang-ups": hang_ups,
    "forged hang-ups": forged_hang_ups,
    "churn": churn,
    "chunk extensions": chunk_extensions,
    "readiness": readiness,
}


@dataclass(frozen=True)
class Seen:
    """What genuine senders and the operator noticed."""

    answers: dict[str, int]
    p50_ms: float
    p99_ms: float
    more_memory_mib: float
    log_lines: int
    """Beside one for each genuine delivery."""


def attacked(service: Service, attack: str, *, seconds: float, connections: int = 64) -> Seen:
    """Run the *attack* of that name in a process of its own, with genuine deliveries beside it."""
    process = service.processes[-1]
    memory, lines = _memory_mib(process.pid), service.log().count("\n")
    genuine = Genuine(service.port)
    delivering = threading.Thread(target=genuine.run, daemon=True)
    words = ["tests.chaos.hostile", attack, str(service.port), str(seconds), str(connections)]
    most = memory
    with warm.start(words, cwd=Path.cwd(), env=os.environ) as strangers:
        delivering.start()
        while strangers.poll() is None:
            most = max(most, _memory_mib(process.pid))
            time.sleep(0.1)
    genuine.stop()
    delivering.join()
    more_lines = service.log().count("\n") - lines - genuine.answers["200"]
    return Seen(dict(genuine.answers), genuine.p50_ms, genuine.p99_ms, most - memory, more_lines)


def _memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def main(attack: str, port: str, seconds: str, connections: str) -> None:
    """Be so many strangers for so many seconds."""
    ends = time.monotonic() + float(seconds)
    threads = [
        threading.Thread(target=ATTACKS[attack], args=(int(port), ends), daemon=True)
        for _ in range(int(connections))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends + 1 - time.monotonic()))


if __name__ == "__main__":
    main(*sys.argv[1:])
