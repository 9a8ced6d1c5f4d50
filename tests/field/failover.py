"""A failover: `receiver web` and `receiver worker` on a PostgreSQL with a standby, and steady deliveries.

Each delivery is posted once, so the one that a fault meets is a 503 or nothing; what was answered 200 counts.
"""

import http.client
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.acceptance.service import Service, failed, service
from tests.field.drill import Ride
from tests.servers.postgres import PostgresServer, following, running

A_SECOND: Final = 20
_SENDERS: Final = 256
"""While commits hang each holds a connection for as long as `receiver` makes it wait."""
_AFTER_S: Final = 5.0
"""So long it is looked on after the first 200 that follows the fault."""
_WITHIN_S: Final = 60.0


def ask(server: PostgresServer, statement: str) -> list[Any]:
    """Return the first column of what *statement* finds, outside of any transaction."""
    with psycopg.connect(server.url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


def wait(look: Callable[[], object], *, within_s: float = _WITHIN_S) -> None:
    """Wait until *look* is truthy, gently: servers and load share the processors with us."""
    deadline = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < deadline, f"still not so after {within_s:g} s"
        time.sleep(0.2)


@dataclass
class Pair:
    """A primary and its standby, which takes over."""

    old: PostgresServer
    new: PostgresServer

    @property
    def url(self) -> str:
        """The URL of both, for libpq."""
        hosts = f"127.0.0.1:{self.old.port},127.0.0.1:{self.new.port}"
        return f"postgresql://receiver@{hosts}/postgres?target_session_attrs=read-write"

    def configure(self, server: PostgresServer, name: str, value: str) -> None:
        """Set *name* on *server* and let its sessions know."""
        ask(server, f"ALTER SYSTEM SET {name} = '{value}'")
        ask(server, "SELECT pg_reload_conf()")

    def replicate(self, *, synchronous: bool) -> None:
        """Let the primary wait for the standby, or not; return once the standby streams."""
        wait(lambda: ask(self.old, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))
        if synchronous:
            self.configure(self.old, "synchronous_standby_names", "standby")
            wait(lambda: ask(self.old, "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))

    def promote(self) -> None:
        """Let the standby take over; it waits for no standby of its own."""
        ask(self.new, "SELECT pg_promote()")

    def cut_off(self) -> None:
        """Let the standby get nothing more from the primary."""
        self.configure(self.new, "primary_conninfo", "host=127.0.0.1 port=1 application_name=standby")
        wait(lambda: not ask(self.new, "SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'"))

    def rejoin(self) -> None:
        """Start the old primary, which was stopped in good order, as a standby of the new one."""
        data = Path(self.old.argv[self.old.argv.index("-D") + 1])
        with (data / "postgresql.auto.conf").open("a") as settings:
            source = f"host=127.0.0.1 port={self.new.port} user=receiver application_name=standby"
            settings.write(f"primary_conninfo = '{source}'\n")
        (data / "standby.signal").touch()
        self.old.start()


@contextmanager
def pair(*, synchronous: bool) -> Iterator[Pair]:
    """Run both servers, with our schema."""
    with ExitStack() as stack:
        old = stack.enter_context(running(durable=False))
        stack.callback(old.thaw)  # a frozen one could not be stopped
        found = Pair(old, stack.enter_context(following(old)))
        found.replicate(synchronous=synchronous)
        yield found


@dataclass
class Load:
    """Deliveries at a steady rate, each on a connection of its own."""

    service: Service
    a_second: int = A_SECOND
    told: Ride = field(default_factory=Ride)
    answers: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Deliver meanwhile, and wait for the answers."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def breaks(self) -> None:
        """Say that the fault begins now."""
        with self._lock:
            self.told.breaks()

    def recovers(self) -> None:
        """Wait for a 200 to a delivery that is posted from now on, and look on for a while."""
        number = len(self.told.delivered)
        wait(lambda: len(self.told.delivered) > number + A_SECOND)
        time.sleep(_AFTER_S)

    def _run(self) -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(_SENDERS) as senders:
            for number in count():
                if self._stop.wait(max(0.0, began + number / self.a_second - time.monotonic())):
                    return
                senders.submit(self._deliver, f"gen_{number}")

    def _deliver(self, generation_id: str) -> None:
        try:
            said = str(self.service.deliver(failed(generation_id)).status)
        except (OSError, http.client.HTTPException) as error:
            said = type(error).__name__
        with self._lock:
            self.answers[said] += 1
            if said == "200":
                self.told.delivered.append(generation_id)
                self.told.note()


def held(server: PostgresServer, receiver: Service) -> list[str]:
    """Return the generations that *server* has, each once and again for every further time it was forwarded.

    Waits until all of them have been forwarded: a claim whose commit was lost lasts for RECEIVER_LEASE_S.
    """
    with psycopg.connect(server.url) as connection:
        of: dict[str, str] = dict(connection.execute("SELECT id, generation_id FROM event").fetchall())
    wait(lambda: set(of) <= {message["id"] for message in receiver.messages()}, within_s=2 * _WITHIN_S)
    copies = Counter(message["id"] for message in receiver.messages())
    return [generation for event, generation in of.items() for _ in range(copies[event])]


def failover(url: str, trouble: Callable[[], PostgresServer]) -> tuple[Ride, list[str]]:
    """Deliver before, during and after *trouble*, which returns the new primary.

    Returns what was answered, and what the new primary has.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = {"RECEIVER_DATABASE_URL": url, "RECEIVER_LEASE_S": "60", "RECEIVER_POLL_S": "1"}
        with service(Path(folder), python=sys.executable, **settings) as receiver:
            receiver.run("migrate")
            receiver.start("web")
            receiver.start("worker")
            load = Load(receiver)
            with load.running():
                wait(lambda: len(load.told.delivered) > 3 * A_SECOND)
                load.breaks()
                new = trouble()
                load.recovers()
            load.told.texts.update(_said(line["error"]) for line in receiver.logged("store unavailable"))
            return load.told, held(new, receiver)


def _said(error: str) -> str:
    """Return what the log says, without the port, which is another each time."""
    return re.sub(r"port \d+", "port …", " ".join(error.split()))
