"""Signed webhooks over keep-alive connections, sent as cheaply as Python can, by a process of its own.

`python -m tests.benchmark.load` reads lines `[port, kind, seed, requests, connections]` and prints a
`Load` as JSON for each, or ends with status 1 and the first answer that was not the one that *kind* must
get. One epoll loop over plain sockets: 15 µs of processor time per request where a uvloop protocol took
18 and threads 24, most of it the kernel's (lowest of 8 interleaved rounds each).
"""

import json
import random
import select
import socket
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from receiver.signatures import sign
from tests.acceptance.service import SECRET, completed

NEW: Final = "new"
FORGED: Final = "forged"
_STATUS: Final = {NEW: 200, FORGED: 401}
_PROMPT: Final = "A lighthouse in fog above a calm sea, seen from the cliffs at first light"
_WRONG: Final = "0" * 64
_RECEIVE_BYTES: Final = 65_536
_PATIENCE_S: Final = 30


@dataclass(frozen=True, slots=True)
class Load:
    """What sending the requests came to."""

    requests: int
    cpu_s: float
    """Of the sender itself, for all of them."""
    per_s: float
    """This and the rest leave out the first on each connection, which waits for its accept."""
    p50_ms: float
    p99_ms: float


class WrongAnswer(Exception):
    """The server said what was not expected, or nothing."""


class Answers:
    """Tells when an answer is whole, and refuses one of the wrong status. Heads repeat: each is read once."""

    def __init__(self, status: int) -> None:
        self._start = b"HTTP/1.1 %d " % status
        self._known: dict[bytes, tuple[int, bool]] = {}

    def stays(self, data: bytes) -> bool | None:
        """Whether the connection may be used again after the answer in *data*; None while that is not whole.

        Raises:
            WrongAnswer: it is not the one that was expected.
        """
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = data[:end]
        length, stays = self._known.get(head) or self._read(head)
        missing = end + 4 + length - len(data)
        if missing < 0:
            raise WrongAnswer(f"more than one answer: {data!r}")
        return None if missing else stays

    def _read(self, head: bytes) -> tuple[int, bool]:
        if not head.startswith(self._start):
            raise WrongAnswer(f"expected {self._start.decode()}, got {head!r}")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        self._known[head] = int(fields[b"content-length"]), fields.get(b"connection") != b"close"
        return self._known[head]


class Sender:
    """Connections to one server, each with one request under way."""

    def __init__(self, port: int, answers: Answers) -> None:
        self._port = port
        self._waiting: Iterator[bytes] = iter(())
        self._answers = answers
        self._poll = select.epoll()
        self._open: dict[int, socket.socket] = {}
        self._received: dict[int, bytes] = {}
        self._sent: dict[int, float] = {}

    def connect(self, connections: int) -> None:
        """Open so many connections."""
        for _ in range(connections):
            self._connect()

    def run(self, requests: Sequence[bytes]) -> list[float]:
        """Send each request once a connection is free; return how many seconds each answer took.

        Raises:
            WrongAnswer: one was not as expected.
        """
        took: list[float] = []
        self._waiting = iter(requests)
        for number in list(self._open):
            self._next(number)
        while self._sent:
            for number, _ in self._ready():
                stays = self._receive(number)
                if stays is not None:
                    took.append(time.perf_counter() - self._sent.pop(number))
                    self._next(number if stays else self._replace(number))
        return took

    def close(self) -> None:
        """Close the connections."""
        for connected in self._open.values():
            connected.close()
        self._poll.close()

    def _next(self, number: int) -> None:
        request = next(self._waiting, None)
        if request is not None:
            self._sent[number] = time.perf_counter()
            self._open[number].send(request)

    def _ready(self) -> list[tuple[int, int]]:
        ready = self._poll.poll(_PATIENCE_S)
        if not ready:
            raise WrongAnswer(f"{len(self._sent)} requests were not answered within {_PATIENCE_S} s")
        return ready

    def _receive(self, number: int) -> bool | None:
        data = self._open[number].recv(_RECEIVE_BYTES)
        if not data:
            raise WrongAnswer("the server hung up")
        if number in self._received:
            data = self._received.pop(number) + data
        stays = self._answers.stays(data)
        if stays is None:
            self._received[number] = data
        return stays

    def _replace(self, number: int) -> int:
        self._open.pop(number).close()
        return self._connect()

    def _connect(self) -> int:
        connected = socket.create_connection(("127.0.0.1", self._port), timeout=_PATIENCE_S)
        connected.setblocking(False)  # with a time-out Python would poll before each call
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = connected.fileno()
        self._open[number] = connected
        self._poll.register(number, select.EPOLLIN)
        return number


def send(port: int, requests: Sequence[bytes], answers: Answers, *, connections: int) -> Load:
    """Send all *requests* over so many *connections*; the clock starts once each has been used.

    Raises:
        WrongAnswer: one was not answered as expected.
    """
    sender = Sender(port, answers)
    try:
        began_cpu = time.process_time()
        sender.connect(connections)
        sender.run(requests[:connections])
        began = time.perf_counter()
        took = sender.run(requests[connections:])
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    finally:
        sender.close()
    cuts = statistics.quantiles(took, n=100)
    return Load(len(requests), cpu_s, len(took) / seconds, cuts[49] * 1000, cuts[98] * 1000)


def deliveries(kind: str, seed: str, count: int) -> list[bytes]:
    """Write *count* requests, signed now, each about another generation; *seed* chooses these.

    Their ids are random, as the provider's are, so that they fall all over an index.
    """
    draw = random.Random(seed)
    now = int(time.time())
    return [_delivery(kind, f"gen_{draw.getrandbits(64):016x}", now) for _ in range(count)]


def _delivery(kind: str, generation: str, now: int) -> bytes:
    body = completed(generation, f"https://cdn.example.com/{generation}.png", prompt=_PROMPT)
    signature = f"t={now},v1={_WRONG}" if kind == FORGED else sign(body, secret=SECRET, timestamp=now)
    head = (
        "POST /webhooks/photoverse HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"X-Webhook-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    """Send one round for each line on standard input, and print what it came to."""
    for line in sys.stdin:
        port, kind, seed, count, connections = json.loads(line)
        try:
            load = send(port, deliveries(kind, seed, count), Answers(_STATUS[kind]), connections=connections)
        except (WrongAnswer, OSError) as error:
            sys.exit(f"{kind} deliveries: {error!r}")
        print(json.dumps(asdict(load)), flush=True)


if __name__ == "__main__":
    main()
