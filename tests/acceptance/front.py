"""A proxy of `deploy/` before two `receiver web` on one PostgreSQL, and a steady load on it over HTTPS."""

import http.client
import itertools
import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from receiver.signatures import sign
from tests.acceptance.service import SECRET, Service, failed, service
from tests.servers import postgres, proxies
from tests.servers.proxies import HOST, Proxy
from tests.servers.require import free_ports
from tests.waiting.blocking import until

PATH: Final = "/webhooks/photoverse"
A_SECOND: Final = 60
_SENDERS: Final = 32


@dataclass
class Front:
    """A proxy before two `receiver web` on one PostgreSQL."""

    proxy: Proxy
    services: list[Service]
    database: postgres.PostgresServer

    def connect(self, *, client: str = "127.0.0.1") -> http.client.HTTPSConnection:
        """Connect from the address *client*."""
        plain = socket.create_connection(
            ("127.0.0.1", self.proxy.port), timeout=60, source_address=(client, 0)
        )
        connection = http.client.HTTPSConnection(HOST, self.proxy.port, timeout=60)
        connection.sock = self.proxy.trust.wrap_socket(plain, server_hostname=HOST)
        return connection

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] = b"",
        headers: dict[str, str] | None = None,
        *,
        client: str = "127.0.0.1",
    ) -> http.client.HTTPResponse:
        """Send one request on a connection of its own; the body of the answer is read."""
        connection = self.connect(client=client)
        try:
            connection.request(method, path, body, headers or {}, encode_chunked=not isinstance(body, bytes))
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        return answer

    def deliver(self, body: bytes) -> http.client.HTTPResponse:
        """Post *body*, genuinely signed."""
        return self.request("POST", PATH, body, signed(body))

    def refused(self) -> dict[str, int]:
        """Ask both processes which addresses they refused, as an operator does."""
        told = [one.command("refusals", "--json") for one in self.services]
        rows = [json.loads(line) for done in told for line in done.stdout.splitlines()]
        found = Counter[str]()
        for row in rows:
            found[row["address"]] += row["requests"]
        return dict(found)

    def restart_each(self, load: "Load") -> None:
        """Stop each process in good order and start it again; go on a second after the proxy has it back."""
        for one in self.services:
            (running,) = one.processes
            running.send_signal(signal.SIGTERM)
            assert running.wait(60) == 0
            one.processes.clear()
            before = len(one.logged("accepted"))
            one.start("web", within_s=120)
            until(lambda one=one, before=before: len(one.logged("accepted")) > before, seconds=120)  # type: ignore[misc]
            seen = load.answers.total()
            until(lambda seen=seen: load.answers.total() > seen + load.a_second, seconds=120)  # type: ignore[misc]


def signed(body: bytes) -> dict[str, str]:
    """Return the header that signs *body*."""
    return {"X-Webhook-Signature": sign(body, secret=SECRET, timestamp=int(time.time()))}


@contextmanager
def fronted(kind: str, folder: Path, database: postgres.PostgresServer) -> Iterator[Front]:
    """Run everything, from the first start on, until the block ends."""
    with ExitStack() as stack:
        database_url = postgres.add_database(database)
        folders = [folder / name for name in ("one", "two", "proxy")]
        services = []
        for each in folders:
            each.mkdir()
        for each, admin_port in zip(folders[:2], free_ports(2), strict=True):
            settings = {
                "RECEIVER_DATABASE_URL": database_url,
                "RECEIVER_TRUSTED_PROXIES": "127.0.0.1",
                "RECEIVER_ADMIN_PORT": str(admin_port),
                "RECEIVER_ADMIN_TOKEN": "acceptance-0123456789",
            }
            services.append(stack.enter_context(service(each, **settings)))
        services[0].run("migrate")
        for one in services:
            one.start("web")
        proxy = stack.enter_context(proxies.running(kind, (services[0].port, services[1].port), folders[2]))
        found = Front(proxy, services, database)
        until(lambda: found.deliver(failed("gen_first")).status == 200)
        yield found


@dataclass
class Load:
    """Deliveries at a steady rate, however long the answers take; each sender keeps its connection."""

    front: Front
    a_second: int = A_SECOND
    answers: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    """From the moment that a delivery was due."""
    rate: float = 0.0
    """Deliveries a second that were answered, in the end."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _own: threading.local = field(default_factory=threading.local)
    _opened: list[http.client.HTTPSConnection] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Deliver meanwhile, and wait for the answers."""
        thread = threading.Thread(target=self._run, daemon=True)
        began = time.monotonic()
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()
            for connection in self._opened:
                connection.close()
        self.rate = self.answers.total() / (time.monotonic() - began)

    def _run(self) -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(_SENDERS) as senders:
            for number in itertools.count():
                due = began + number / self.a_second
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                senders.submit(self._deliver, number, due)

    def _deliver(self, number: int, due: float) -> None:
        body = failed(f"gen_rolling_{id(self)}_{number}")
        try:
            connection = getattr(self._own, "connection", None) or self._connect()
            connection.request("POST", PATH, body, signed(body))
            answer = connection.getresponse()
            answer.read()
            said = str(answer.status)
            if answer.will_close:
                self._own.connection = None
        except (OSError, http.client.HTTPException) as error:
            said = repr(error)
            self._own.connection = None
        self.answers[said] += 1
        self.took_s.append(time.monotonic() - due)

    def _connect(self) -> http.client.HTTPSConnection:
        self._own.connection = connection = self.front.connect()
        self._opened.append(connection)
        return connection
