"""`python -m tests.benchmark.growth`: what commands and a scrape cost over 2 million events, beside none.

Processor time is that of the command and of the database server. Each event is settled and has a delivery
that was confirmed. Wants 2 GB in the folder for temporary files (TMPDIR).
"""

import argparse
import resource
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from tests.acceptance.service import Service, service
from tests.benchmark import stored
from tests.benchmark.cpu import cpu_s
from tests.servers import postgres
from tests.servers.require import free_ports

_COMMANDS: Final = (
    "events list --generation gen_7",
    "events list --state pending",
    "deliveries list --state pending",
    "destinations list",
)
_SCRAPE: Final = "GET /metrics"
_DELIVERIES: Final = (
    "INSERT INTO delivery (event_id, destination, state, due_ms, attempts, settled_ms)"
    " SELECT id, 'messages', 'delivered', received_ms, 1, received_ms FROM event"
)
_TOKEN: Final = "benchmark-0123456789"


class Offered(NamedTuple):
    """One database with the processes that use it."""

    service: Service
    server: int | None
    """Process id of PostgreSQL."""
    metrics: str
    worker: int

    def cpu_s(self) -> float:
        """Return the seconds of the database server so far, and of commands that ended."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime + (cpu_s(self.server) if self.server else 0.0)


def main() -> None:
    """Measure, and print the lowest of the rounds in milliseconds."""
    options = _options()
    print(f"| {options.database} | {options.events:,} events | none | ratio |\n|---|---|---|---|")
    with ExitStack() as stack:
        full, empty = (_offer(stack, options.database, events) for events in (options.events, 0))
        for name in (*_COMMANDS, _SCRAPE):
            taken: dict[int, list[float]] = {0: [], 1: []}
            for _ in range(options.rounds):
                for number, offered in enumerate((full, empty)):
                    taken[number].append(_ms(offered, name))
            filled, bare = min(taken[0]), min(taken[1])
            print(f"| `{name}` | {filled:.0f} ms | {bare:.0f} ms | {filled / bare:.2f} |", flush=True)


def _ms(offered: Offered, name: str) -> float:
    if name == _SCRAPE:
        return _used_ms(lambda: _scrape(offered), lambda: offered.cpu_s() + cpu_s(offered.worker))
    argv = [sys.executable, "-m", "receiver", *name.split()]
    environment = offered.service._environment()
    return _used_ms(
        lambda: subprocess.run(
            argv, cwd=offered.service.folder, env=environment, check=True, capture_output=True
        ),
        offered.cpu_s,
    )


def _used_ms(work: Callable[[], object], used_s: Callable[[], float]) -> float:
    before = used_s()
    work()
    return (used_s() - before) * 1000


def _scrape(offered: Offered) -> None:
    asked = urllib.request.Request(offered.metrics, headers={"Authorization": f"Bearer {_TOKEN}"})
    with urllib.request.urlopen(asked) as answer:
        assert b"receiver_" in answer.read()


def _offer(stack: ExitStack, database: str, events: int) -> Offered:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    (port,) = free_ports(1)
    settings = dict(_settings(port))
    server = None
    if database == "postgresql":
        cluster = stack.enter_context(postgres.running(durable=False))
        settings["RECEIVER_DATABASE_URL"], server = cluster.url, cluster.pid
    offered = stack.enter_context(service(folder, **settings))
    offered.run("migrate")
    _fill(folder, settings.get("RECEIVER_DATABASE_URL"), events)
    worker = offered.start("serve")
    return Offered(offered, server, f"http://127.0.0.1:{port}/metrics", worker.pid)


def _settings(port: int) -> Iterator[tuple[str, str]]:
    yield "RECEIVER_ADMIN_PORT", str(port)
    yield "RECEIVER_ADMIN_TOKEN", _TOKEN
    yield "RECEIVER_LEASE_S", "60"


def _fill(folder: Path, url: str | None, events: int) -> None:
    if not events:
        return
    if url:
        stored.fill_postgres(url, events)
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(_DELIVERIES)
            server.execute("VACUUM ANALYZE delivery")
            server.execute("CHECKPOINT")
        return
    (path,) = folder.glob("*.db")
    stored.fill_sqlite(path, events)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute(_DELIVERIES)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--events", type=int, default=2_000_000, help="how many are stored (2,000,000)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command (5)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
