"""What an event costs each part over PostgreSQL, for docs/scaling.md: `python -m tests.benchmark.stages`.

`web` accepts as fast as 16 senders deliver, each time on a new connection; a `worker` forwards to Valkey
meanwhile, then mirrors to a folder, too.
"""

import http.client
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import redis

from tests.acceptance.service import Service, completed, failed, service
from tests.benchmark.cpu import cpu_s
from tests.servers import assets, postgres, valkey
from tests.servers.postgres import PostgresServer
from tests.waiting.blocking import until

_EVENTS: Final = 4_000
_CONNECTIONS: Final = 16
_ASSETS: Final = 600
_PATIENCE_S: Final = 120.0


def measure(folder: Path, server: PostgresServer) -> None:
    """Print a row for each stage."""
    queue = valkey.server(folder)
    queue.start()
    settings = {"RECEIVER_DATABASE_URL": server.url, "RECEIVER_DESTINATIONS__MESSAGES__URL": queue.url}
    with service(folder, RECEIVER_LEASE_S="60", **settings) as receiver, redis.Redis(port=queue.port) as read:
        receiver.run("migrate")
        pids = {
            "web": receiver.start("web").pid,
            "worker": receiver.start("worker").pid,
            "postgresql": server.pid,
        }
        # The first tenth warms up.
        _go_through(receiver, read, [failed(f"gen_warm_{number}") for number in range(_EVENTS // 10)])
        empty = _bytes(server)
        with _counted("without an asset", _EVENTS, pids):
            _go_through(receiver, read, [failed(f"gen_{number}") for number in range(_EVENTS)])
        print(f"| database | {(_bytes(server) - empty) / _EVENTS:.0f} bytes an event |")
        with assets.serving() as host, _counted("with one", _ASSETS, pids):
            urls = [f"{host.url}/{number}.png" for number in range(_ASSETS)]
            _go_through(receiver, read, [completed(f"gen_asset_{n}", url) for n, url in enumerate(urls)])
    queue.kill()


def _go_through(receiver: Service, read: "redis.Redis", bodies: list[bytes]) -> None:
    """Deliver *bodies*, and wait until each is in the stream."""
    reached = _length(read) + len(bodies)
    with ThreadPoolExecutor(_CONNECTIONS) as senders:
        answers = list(senders.map(receiver.deliver, bodies))
    assert {answer.status for answer in answers} == {http.client.OK}
    until(lambda: _length(read) == reached, seconds=_PATIENCE_S)


@contextmanager
def _counted(stage: str, events: int, pids: dict[str, int]) -> Iterator[None]:
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    began = time.perf_counter()
    yield
    took_s = time.perf_counter() - began
    used = ", ".join(
        f"{name} {(cpu_s(pid) - before[name]) * 1000 / events:.2f}" for name, pid in pids.items()
    )
    print(f"| {stage} | CPU ms an event: {used} | {events / took_s:.0f} a second |", flush=True)


def _length(read: "redis.Redis") -> int:
    length: Callable[[str], object] = read.xlen
    return int(str(length("receiver:events")))


def _bytes(server: PostgresServer) -> int:
    with psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row
    return int(row[0])


def main() -> None:
    """Measure all of it once."""
    with tempfile.TemporaryDirectory() as folder, postgres.running(durable=True) as server:
        measure(Path(folder), server)


if __name__ == "__main__":
    main()
