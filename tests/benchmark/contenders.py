"""What is measured side by side: each a server on loopback, and the processes whose time it costs."""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.acceptance.service import Service, service
from tests.benchmark.builds import PAST, Build
from tests.benchmark.cpu import cpu_s
from tests.benchmark.stored import fill_postgres, fill_sqlite, write_log
from tests.servers import postgres
from tests.servers.require import free_ports
from tests.waiting.blocking import until

BARE: Final = "bare Starlette route on uvloop"
BARE_ASYNCIO: Final = "bare Starlette route on asyncio"
SQLITE: Final = "`receiver web` on SQLite"
POSTGRES: Final = "`receiver web` on PostgreSQL"
STORED_SQLITE: Final = f"{SQLITE}, many stored"
STORED_POSTGRES: Final = f"{POSTGRES}, many stored"
PAST_SQLITE: Final = f"{PAST} on SQLite"
PAST_POSTGRES: Final = f"{PAST} on PostgreSQL"


@dataclass(frozen=True)
class Contender:
    """One server that takes deliveries."""

    port: int
    pids: tuple[int, ...]
    """Its process, and that of its database if it has one; their children count, too."""

    def cpu_s(self) -> float:
        """Return the processor time that it has cost so far."""
        return sum(cpu_s(pid) for pid in self.pids)


@contextmanager
def bare_route(loop: str) -> Iterator[Contender]:
    """Serve the yardstick on `uvloop` or `asyncio`."""
    [port] = free_ports(1)
    with subprocess.Popen([sys.executable, "-m", "tests.benchmark.bare", str(port), loop]) as process:
        try:
            until(lambda: process.poll() is not None or _listens(port))
            yield Contender(port, (process.pid,))
        finally:
            process.terminate()


@contextmanager
def on_sqlite(build: Build, *, events: int = 0) -> Iterator[Contender]:
    """Serve `receiver web` of one *build* on SQLite, over so many stored *events*."""
    with _folder() as folder, _service(build, Path(folder)) as offered:
        offered.run("migrate")
        if events:
            fill_sqlite(Path(folder) / "receiver.db", events)
        yield Contender(offered.port, (offered.start("web").pid,))


@contextmanager
def on_postgres(build: Build, *, events: int = 0) -> Iterator[Contender]:
    """Serve `receiver web` of one *build* on PostgreSQL, over so many stored *events*."""
    with (
        postgres.running(durable=True) as server,
        _folder() as folder,
        _service(build, Path(folder), RECEIVER_DATABASE_URL=server.url) as offered,
    ):
        offered.run("migrate")
        if events:
            fill_postgres(server.url, events)
        write_log(server.url)
        yield Contender(offered.port, (offered.start("web").pid, server.pid))


def _folder() -> AbstractContextManager[str]:
    return tempfile.TemporaryDirectory(prefix="receiver-benchmark-")


def _service(build: Build, folder: Path, **settings: str) -> AbstractContextManager[Service]:
    return service(folder, python=build.python, PYTHONPATH=str(build.folder), **settings)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
