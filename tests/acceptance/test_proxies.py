"""The proxies that people put in front, each run with its file of `deploy/`, over HTTPS."""

import time
from collections.abc import Iterator

import pytest

from tests.acceptance.front import PATH, Front, Load, fronted, signed
from tests.acceptance.service import failed
from tests.servers.postgres import PostgresServer
from tests.servers.proxies import KINDS
from tests.waiting.blocking import until

pytestmark = pytest.mark.timeout(180)  # six processes start at once


@pytest.fixture(params=list(KINDS), scope="module")
def front(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    doomed_postgres_server: PostgresServer,
) -> Iterator[Front]:
    with fronted(request.param, tmp_path_factory.mktemp("front"), doomed_postgres_server) as found:
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

    def test_refusals_arrive(self, front: Front, subtests: pytest.Subtests) -> None:
        """Each refusal arrives as what it is, and nothing but webhooks is reached from outside."""
        for method, path, size, headers, status in [
            ("POST", PATH, 100, {}, 401),
            ("POST", "/webhooks/nobody", 50_000, {}, 404),
            ("PUT", PATH, 50_000, {}, 405),
            ("POST", PATH, 50_000, {"Content-Encoding": "gzip"}, 415),
            ("POST", PATH, 900_000, {}, 413),
            ("POST", "/webhook/photoverse", 100, {}, 404),
            ("POST", "/webhook/photoverse", 250_000, {}, 404),
            ("POST", "/webhooks/photoverse/", 100, {}, 404),
            ("GET", "/", 0, {}, 404),
            ("GET", "/healthz", 0, {}, 404),
            ("GET", "/readyz", 0, {}, 404),
            ("GET", "/metrics", 0, {}, 404),
            ("GET", "/v1/events", 0, {}, 404),
        ]:
            with subtests.test(f"{method} {path}", status=status):
                answers = [front.request(method, path, b"x" * size, headers) for _ in range(3)]
                assert [answer.status for answer in answers] == [status] * 3

    def test_names_the_client(self, front: Front) -> None:
        """`receiver refusals` shows the client's own address, and nothing that the client says of itself."""
        before = front.refused()
        for _ in range(4):
            front.request("POST", PATH, b"{}", {"X-Forwarded-For": "198.51.100.99"}, client="127.0.0.2")
        after = front.refused()
        assert "198.51.100.99" not in after
        assert after["127.0.0.2"] == before.get("127.0.0.2", 0) + 4
        logged = [line for one in front.services for line in one.logged("not genuine")]
        assert {line["client"] for line in logged} <= {"127.0.0.1", "127.0.0.2"}


class TestRollingRestart:
    def test_costs_nothing(self, front: Front) -> None:
        """Two processes restarted in turn under load: nothing but 200. `make chaos` has a heavier one."""
        with Load(front, a_second=20).running() as load:
            until(lambda: load.answers)
            front.restart_each(load)
        faults = [one.logged("store unavailable") for one in front.services]
        assert set(load.answers) == {"200"}, (load.answers, faults)

    def test_our_faults_pass_through(self, front: Front) -> None:
        """While the database is away, or no process runs, the sender is told to come back, and when."""
        front.database.kill()
        try:
            assert {_told(front) for _ in range(10)} == {(503, "5")}
        finally:
            front.database.start()
        for one in front.services:
            one.end()
        assert {_told(front) for _ in range(10)} == {(503, "5")}


def _told(front: Front) -> tuple[int, str | None]:
    answer = front.deliver(failed("gen_away"))
    time.sleep(0.1)  # the proxies look every 0.2 s
    return answer.status, answer.getheader("Retry-After")
