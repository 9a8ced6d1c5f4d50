"""How fast workers empty a backlog of events without assets: `python -m tests.benchmark.drain`.

The builds take turns. The events are in the table before the workers start; the clock runs from the first
message in the destination to the last. Each message must be there once.
"""

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
import redis

from receiver.events import event_id
from tests.acceptance.service import Service, failed, service
from tests.benchmark import builds
from tests.benchmark.builds import WORKING_TREE, Build
from tests.benchmark.cpu import cpu_s
from tests.servers import postgres, valkey
from tests.waiting.blocking import until

_STREAM: Final = "receiver:events"
_COLUMNS: Final = "id, source, generation_id, type, body, via, received_ms, repeats, state, due_ms, attempts"
_ANSWER: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_WITHIN_S: Final = 600.0


class Drained(NamedTuple):
    """What one round came to."""

    per_s: float
    cpu_ms: float
    """Of all workers, per event."""


class Stream:
    """A Valkey stream that messages are counted in."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        server = valkey.server(folder)
        server.start()
        stack.callback(server.kill)
        self.url = server.url
        self._client = stack.enter_context(redis.Redis(port=server.port))

    def count(self) -> int:
        """Return how many messages are there."""
        return int(self._client.xlen(_STREAM))

    def ids(self) -> Counter[str]:
        """Return how often each event is there."""
        entries: Any = self._client.xrange(_STREAM)
        return Counter(entry[b"id"].decode() for _, entry in entries)


class Endpoint:
    """An HTTP endpoint that answers each message, at once unless said otherwise."""

    answer_s = 0.0

    def __init__(self, _folder: Path, stack: ExitStack) -> None:
        self._seen: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        stack.callback(self._loop.call_soon_threadsafe, self._loop.stop)
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    def count(self) -> int:
        """Return how many messages came."""
        return self._seen.total()

    def ids(self) -> Counter[str]:
        """Return how often each event came."""
        return self._seen

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:] if line)
                await reader.readexactly(int(fields["content-length"]))
                await asyncio.sleep(self.answer_s)
                self._seen[fields["idempotency-key"]] += 1
                writer.write(_ANSWER)


class SlowEndpoint(Endpoint):
    """One that takes 100 ms."""

    answer_s = 0.1


_DESTINATIONS: Final[Mapping[str, type[Stream] | type[SlowEndpoint]]] = {
    "valkey": Stream,
    "http": SlowEndpoint,
}


def main() -> None:
    """Measure, and print a line for each build."""
    options = _options()
    compared = [WORKING_TREE, *filter(None, [builds.past()])]
    drained: dict[str, list[Drained]] = {build.name: [] for build in compared}
    for _ in range(options.rounds):
        for build in compared:
            drained[build.name].append(_round(build, options))
    for name, rounds in drained.items():
        per_s, cpu_ms = (statistics.median(one[field] for one in rounds) for field in (0, 1))
        print(
            f"{name:14} {options.database} to {options.destination}, {options.workers} worker(s):"
            f" {per_s:,.0f}/s, {cpu_ms:.3f} ms CPU per event"
        )


def _round(build: Build, options: argparse.Namespace) -> Drained:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        destination = _DESTINATIONS[options.destination](folder, stack)
        offered = stack.enter_context(_service(build, folder, options.database, destination.url))
        ids = _fill(offered.settings.get("RECEIVER_DATABASE_URL", ""), folder, options.events)
        workers = [offered.start("worker") for _ in range(options.workers)]
        until(destination.count, seconds=_WITHIN_S)
        began, before = time.perf_counter(), sum(cpu_s(worker.pid) for worker in workers)
        first = destination.count()
        until(lambda: destination.count() >= options.events, seconds=_WITHIN_S)
        took_s = time.perf_counter() - began
        used_s = sum(cpu_s(worker.pid) for worker in workers) - before
        came = destination.ids()
        assert came.keys() == ids, f"{len(ids - came.keys())} never came"
        assert came.total() == len(ids), f"{came.total() - len(ids)} came more than once"
        return Drained((options.events - first) / took_s, used_s / (options.events - first) * 1000)


@contextmanager
def _service(build: Build, folder: Path, database: str, url: str) -> Iterator[Service]:
    with ExitStack() as stack:
        settings = {"PYTHONPATH": str(build.folder), "RECEIVER_POLL_S": "1", "RECEIVER_LEASE_S": "60"}
        settings["RECEIVER_DESTINATIONS__MESSAGES__URL"] = url
        if database == "postgresql":
            server = stack.enter_context(postgres.running(durable=True))
            settings["RECEIVER_DATABASE_URL"] = server.url
        offered = stack.enter_context(service(folder, python=build.python, **settings))
        offered.run("migrate")
        yield offered


def _fill(url: str, folder: Path, count: int) -> set[str]:
    now_ms = int(time.time() * 1000)
    rows = [
        (
            event_id(now_ms, number.to_bytes(10, "big")),
            "photoverse",
            f"gen_{number}",
            "generation.failed",
            failed(f"gen_{number}"),
            "webhook",
            now_ms,
            0,
            "pending",
            now_ms,
            0,
        )
        for number in range(count)
    ]
    if url.startswith("postgresql"):
        with psycopg.connect(url) as server, server.cursor() as cursor:
            cursor.executemany(f"INSERT INTO event ({_COLUMNS}) VALUES ({','.join(['%s'] * 11)})", rows)
    else:
        (path,) = folder.glob("*.db")
        with closing(sqlite3.connect(path)) as file, file:
            file.executemany(f"INSERT INTO event ({_COLUMNS}) VALUES ({','.join('?' * 11)})", rows)
    return {row[0] for row in rows}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.drain", description=__doc__)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--destination", choices=_DESTINATIONS, default="valkey")
    return parser.parse_args()


if __name__ == "__main__":
    main()
