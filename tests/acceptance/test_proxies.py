"""The proxies that people put in front, each run with its file of `deploy/`, over HTTPS."""

import http.client
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from receiver.signatures import sign
from tests.acceptance.service import SECRET, Service, failed, service, until
from tests.servers import postgres, proxies
from tests.servers.proxies import HOST, KINDS, Proxy

PATH = "/webhooks/photoverse"
A_SECOND = 60


@dataclass
class Front:
    """A proxy before two `receiver web` on one PostgreSQL."""

    proxy: Proxy
    services: list[Service]
    database: postgres.PostgresServer

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] = b"",
        headers: dict[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """Send one request on a connection of its own; the body of the answer is read."""
        plain = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=20)
        connection = http.client.HTTPSConnection(HOST, self.proxy.port, timeout=20)
        connection.sock = self.proxy.trust.wrap_socket(plain, server_hostname=HOST)
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


def signed(body: bytes) -> dict[str, str]:
    return {"X-Webhook-Signature": sign(body, secret=SECRET, timestamp=int(time.time()))}


@pytest.fixture(params=list(KINDS), scope="module")
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with ExitStack() as stack:
        database = stack.enter_context(postgres.running(durable=False))
        folders = [tmp_path_factory.mktemp(name) for name in ("one", "two", "proxy")]
        settings = {"RECEIVER_DATABASE_URL": database.url, "RECEIVER_TRUSTED_PROXIES": "127.0.0.1"}
        services = [stack.enter_context(service(folder, **settings)) for folder in folders[:2]]
        services[0].run("migrate")
        for one in services:
            one.start("web")
        proxy = stack.enter_context(
            proxies.running(request.param, (services[0].port, services[1].port), folders[2])
        )
        found = Front(proxy, services, database)
        until(lambda: found.deliver(failed("gen_first")).status == 200)
        yield found


class TestProxy:
    def test_deliveries(self, front: Front) -> None:
        """A delivery is accepted small, of 50 KB, and in chunks."""
        assert front.deliver(failed("gen_small")).status == 200
        large = failed("gen_large", prompt="x" * 50_000)
        assert front.deliver(large).status == 200
        chunked = failed("gen_chunked", prompt="x" * 50_000)
        pieces = (chunked[start : start + 7000] for start in range(0, len(chunked), 7000))
        headers = {**signed(chunked), "Transfer-Encoding": "chunked"}
        assert front.request("POST", PATH, pieces, headers).status == 200

    @pytest.mark.parametrize(
        ("method", "path", "size", "headers", "status"),
        [
            ("POST", PATH, 100, {}, 401),
            ("POST", "/webhooks/nobody", 50_000, {}, 404),
            ("PUT", PATH, 50_000, {}, 405),
            ("POST", PATH, 50_000, {"Content-Encoding": "gzip"}, 415),
            ("POST", PATH, 900_000, {}, 413),
            ("POST", "/webhook/photoverse", 100, {}, 404),
            ("POST", "/webhooks/photoverse/", 100, {}, 404),
            ("GET", "/", 0, {}, 404),
            ("GET", "/healthz", 0, {}, 404),
            ("GET", "/readyz", 0, {}, 404),
            ("GET", "/metrics", 0, {}, 404),
            ("GET", "/v1/events", 0, {}, 404),
        ],
    )
    def test_refusals_arrive(
        self, front: Front, method: str, path: str, size: int, headers: dict[str, str], status: int
    ) -> None:
        """Each refusal arrives as what it is, and nothing but webhooks is reached from outside."""
        answers = [front.request(method, path, b"x" * size, headers) for _ in range(5)]
        assert [answer.status for answer in answers] == [status] * 5

    def test_names_the_client(self, front: Front) -> None:
        """What a client says of itself in X-Forwarded-For is not taken for its address."""
        front.request("POST", PATH, b"{}", {"X-Forwarded-For": "198.51.100.99"})
        logged = [line for one in front.services for line in one.logged("not genuine")]
        assert {line["client"] for line in logged} == {"127.0.0.1"}


class TestRollingRestart:
    def test_costs_nothing(self, front: Front) -> None:
        """Two processes restarted in turn under 60 deliveries a second: nothing but 200."""
        load = Load(front)
        load.thread.start()
        for one in front.services:
            until(lambda: load.answers)
            (running,) = one.processes
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0
            one.processes.clear()
            one.start("web")
            seen = len(load.answers)
            until(lambda seen=seen: len(load.answers) > seen + A_SECOND // 2)  # type: ignore[misc]
        load.stop.set()
        load.thread.join()
        assert set(load.answers) == {"200"}, load.answers

    def test_our_faults_pass_through(self, front: Front) -> None:
        """While the database is away, or no process runs, the sender is told to come back, and when."""
        front.database.kill()
        assert {_told(front) for _ in range(10)} == {(503, "5")}
        for one in front.services:
            one.end()
        assert {_told(front) for _ in range(10)} == {(503, "5")}


def _told(front: Front) -> tuple[int, str | None]:
    answer = front.deliver(failed("gen_away"))
    time.sleep(0.1)  # the proxies look every 0.2 s
    return answer.status, answer.getheader("Retry-After")


@dataclass
class Load:
    """Deliveries, one after the other on connections of their own, at a steady rate."""

    front: Front
    answers: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        number = 0
        while not self.stop.wait(1 / A_SECOND):
            number += 1
            try:
                answer = str(self.front.deliver(failed(f"gen_rolling_{number}")).status)
            except OSError as error:
                answer = repr(error)
            self.answers.append(answer)
