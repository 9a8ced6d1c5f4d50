"""Faults: queued by operation, met once each."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from receiver.sandbox import Fault, Knobs, Sandbox
from receiver.sandbox.faults import FaultQueues

RESET = Fault("reset_before_read")
SLOW = Fault("latency", seconds=0.1)


class TestFaultQueues:
    def test_each_is_met_once_and_in_order(self) -> None:
        """First in, first out, and every operation by itself."""
        queues = FaultQueues(["a", "b"])
        queues.add("a", RESET, 1)
        queues.add("a", SLOW, 2)
        assert queues.pending() == {"a": (RESET, SLOW, SLOW)}
        assert queues.take("b") is None
        assert [queues.take("a") for _ in range(4)] == [RESET, SLOW, SLOW, None]
        assert queues.pending() == {}

    def test_refuses_a_typo(self) -> None:
        """A fault that nothing could ever meet is found at once."""
        with pytest.raises(ValueError, match=r"no such operation: generate\.images"):
            FaultQueues(["generate.image"]).add("generate.images", RESET, 1)
        with pytest.raises(ValueError, match="times"):
            FaultQueues(["a"]).add("a", RESET, 0)

    def test_can_be_cleared(self) -> None:
        """Nothing waits any more."""
        queues = FaultQueues(["a"])
        queues.add("a", RESET, 3)
        queues.clear()
        assert queues.pending() == {}


UNPAID = ("reset_before_read", "status", "html_502")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(knobs=Knobs(rate_limit=10_000)) as sandbox:
        yield sandbox


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {sandbox.key()}"}
    with httpx2.Client(base_url=sandbox.url, headers=headers, timeout=10, trust_env=False) as http:
        yield http


def order(http: httpx2.Client) -> httpx2.Response:
    return http.post("/generate/image", json={"prompt": "x"})


class TestMisbehave:
    @pytest.mark.parametrize(
        ("fault", "seen"),
        [
            (Fault("reset_before_read"), (httpx2.ReadError, httpx2.RemoteProtocolError)),
            (Fault("commit_then_drop"), httpx2.RemoteProtocolError),
            (Fault("cut_body"), httpx2.RemoteProtocolError),
            (Fault("stall"), httpx2.ReadTimeout),
        ],
        ids=lambda value: getattr(value, "kind", ""),
    )
    def test_without_a_whole_answer(
        self, sandbox: Sandbox, http: httpx2.Client, fault: Fault, seen: Any
    ) -> None:
        """The client cannot tell whether it was charged; the sandbox can. The next call is answered again."""
        before = sandbox.charges()
        http.timeout = httpx2.Timeout(0.3 if fault.kind == "stall" else 10)
        sandbox.fail("generate.image", fault)
        with pytest.raises(seen):
            order(http)
        assert sandbox.charges() - before == (fault.kind not in UNPAID)
        http.timeout = httpx2.Timeout(10)
        assert order(http).status_code == 200
        assert sandbox.pending_faults() == {}

    @pytest.mark.parametrize(
        ("fault", "status"),
        [
            (Fault("status", status=503), 503),
            (Fault("html_502"), 502),
            (Fault("commit_then_500"), 500),
            (Fault("bad_json"), 200),
            (Fault("latency", seconds=0.05), 200),
            (Fault("stall", seconds=0.05), 200),
        ],
        ids=lambda value: getattr(value, "kind", ""),
    )
    def test_with_an_answer(self, sandbox: Sandbox, http: httpx2.Client, fault: Fault, status: int) -> None:
        """Its status, and whether it was charged."""
        before = sandbox.charges()
        sandbox.fail("generate.image", fault)
        answer = order(http)
        assert answer.status_code == status
        assert sandbox.charges() - before == (fault.kind not in UNPAID)
        assert sandbox.seen[-1].status == status
        assert answer.elapsed.total_seconds() >= fault.seconds

    def test_bodies(self, sandbox: Sandbox, http: httpx2.Client) -> None:
        """A page of a proxy, half of a JSON text, and the document's envelope with the code asked for."""
        for fault in (
            Fault("html_502"),
            Fault("bad_json"),
            Fault("status", status=400, code="not_found"),
            Fault("status", status=429),
        ):
            sandbox.fail("models.list", fault)
        page, half, refused, limited = (http.get("/models") for _ in range(4))
        assert page.headers["content-type"].startswith("text/html")
        with pytest.raises(json.JSONDecodeError):
            half.json()
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "not_found")
        assert (limited.status_code, limited.json()["error"]["code"]) == (429, "rate_limited")

    def test_fails_as_often_as_told_and_only_there(self, sandbox: Sandbox, http: httpx2.Client) -> None:
        """Other calls go on."""
        sandbox.fail("models.list", Fault("status", status=500), times=2)
        assert http.get("/generations").status_code == 200
        assert [http.get("/models").status_code for _ in range(3)] == [500, 500, 200]

    def test_a_request_that_was_not_answered_is_seen(self, sandbox: Sandbox, http: httpx2.Client) -> None:
        """With status 0."""
        sandbox.fail("models.list", Fault("commit_then_drop"))
        with pytest.raises(httpx2.RemoteProtocolError):
            http.get("/models")
        assert (sandbox.seen[-1].operation, sandbox.seen[-1].status) == ("models.list", 0)

    def test_a_reset_is_a_reset(self, sandbox: Sandbox) -> None:
        """Not an orderly end: the system says so itself."""
        sandbox.fail("models.list", Fault("reset_before_read"))
        parts = urlsplit(sandbox.origin)
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
            connection.sendall(b"GET /api/v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                connection.recv(1)

    async def test_without_a_socket_it_raises(self) -> None:
        """A transport in the same process has no connection to lose."""
        sandbox = Sandbox()
        sandbox.fail("models.list", Fault("commit_then_drop"))
        transport = httpx2.ASGITransport(app=sandbox.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:9") as http:
            with pytest.raises(ConnectionResetError):
                await http.get("/api/v1/models")
