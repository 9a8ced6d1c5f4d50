"""Asset hosts that are left alone while they are away."""

import time
from pathlib import Path

import pytest
import structlog.testing

from receiver.assets import Fetched, NotFetched
from receiver.worker import host_gates as host_gates_module
from receiver.worker.breaker import Breaker
from receiver.worker.gate import GATE_RULES
from receiver.worker.host_gates import HostGates

FILE = Fetched(Path("spooled"), 3, "0" * 64, "image/png")
PATIENCE_S = 3600.0


class Hosts:
    """Answers what it is told to, and counts."""

    def __init__(self) -> None:
        self.answer: Fetched | NotFetched = FILE
        self.asked = 0
        self.now = 1000.0
        self.gates = HostGates(self.fetch, patience_s=PATIENCE_S, make_breaker=self._breaker)

    async def fetch(self, _url: object, _begin: object = None) -> Fetched | NotFetched:
        self.asked += 1
        return self.answer

    def _breaker(self) -> Breaker:
        return Breaker(GATE_RULES, clock=lambda: self.now, chance=lambda: 0.5)

    async def ask(self, number: int, host: str = "cdn.example.com") -> Fetched | NotFetched:
        return await self.gates.fetch(f"https://{host}/{number}.png")

    async def fail(self, code: str = "http_503", host: str = "cdn.example.com") -> None:
        self.answer = NotFetched(code, permanent=False)
        for number in range(3):
            await self.ask(number, host)


@pytest.fixture
def hosts() -> Hosts:
    return Hosts()


class TestFetch:
    @pytest.mark.parametrize("code", ["dns", "connect", "tls", "timeout", "http_429", "http_500", "http_503"])
    async def test_left_alone_while_it_is_down(self, hosts: Hosts, code: str) -> None:
        """After three failures that are the host's it is not asked; who comes is told why, and until when."""
        await hosts.fail(code)
        assert hosts.gates.shut() == ["cdn.example.com"]
        found = await hosts.ask(4)
        assert isinstance(found, NotFetched)
        assert (found.code, found.permanent, found.parked_s) == (code, False, 1.0)
        assert hosts.asked == 3

    @pytest.mark.parametrize("code", ["expired", "http_404", "http_408", "wrong_type", "truncated", "empty"])
    async def test_an_answer_is_an_answer(self, hosts: Hosts, code: str) -> None:
        """What is wrong with a file says nothing of its host, and that the host works."""
        await hosts.fail("http_503")
        hosts.now += hosts.gates.wait_s() or 0
        hosts.answer = NotFetched(code, permanent=True)
        assert await hosts.ask(1) == hosts.answer
        await hosts.fail(code)
        assert hosts.gates.shut() == []

    @pytest.mark.parametrize("code", ["spool", "blocked_url", "blocked_address"])
    async def test_our_own_doing(self, hosts: Hosts, code: str) -> None:
        """What never came to the host neither shuts its gate nor opens it."""
        await hosts.fail(code)
        assert hosts.gates.shut() == []
        await hosts.fail("connect")
        hosts.now += hosts.gates.wait_s() or 0
        hosts.answer = NotFetched(code, permanent=False)
        assert await hosts.ask(1) == hosts.answer
        await hosts.fail("connect")
        assert hosts.gates.shut() == ["cdn.example.com"]

    async def test_back(self, hosts: Hosts) -> None:
        """One file that came opens it for all; people read of both."""
        with structlog.testing.capture_logs() as lines:
            await hosts.fail("connect")
            hosts.answer = FILE
            hosts.now += hosts.gates.wait_s() or 0
            assert [await hosts.ask(number) for number in range(2)] == [FILE, FILE]
        assert [(line["event"], line["host"]) for line in lines] == [
            ("asset host down", "cdn.example.com"),
            ("asset host back", "cdn.example.com"),
        ]

    async def test_as_late_as_asked(self, hosts: Hosts) -> None:
        """A host that says when is not asked before."""
        hosts.answer = NotFetched("http_429", permanent=False, after_s=600)
        for number in range(3):
            await hosts.ask(number)
        assert hosts.gates.wait_s() == 600

    async def test_each_by_itself(self, hosts: Hosts) -> None:
        """Another host is asked all the same, under whatever spelling; what is no URL goes its own way."""
        await hosts.fail("connect", host="Slow.example.com")
        hosts.answer = FILE
        assert await hosts.ask(1) == FILE
        assert hosts.gates.shut() == ["slow.example.com"]
        assert await hosts.gates.fetch(None) == FILE

    async def test_where_a_redirect_leads(self, hosts: Hosts) -> None:
        """A host behind a redirect fails by itself: the first one's other files come, its own wait for it."""
        hosts.answer = NotFetched("connect", permanent=False, led_to="far.example.com")
        for number in range(3):
            await hosts.ask(number)
        assert hosts.gates.shut() == ["far.example.com"]
        found = await hosts.ask(1)
        assert isinstance(found, NotFetched)
        assert (found.code, found.parked_s, hosts.asked) == ("connect", 1.0, 3)
        hosts.answer = FILE
        assert await hosts.ask(4) == FILE
        assert hosts.gates.shut() == ["far.example.com"]
        hosts.now += hosts.gates.wait_s() or 0
        assert await hosts.ask(1) == FILE
        assert hosts.gates.wait_s() is None

    async def test_first_host_fails_instead(self, hosts: Hosts) -> None:
        """What a host of a redirect once was is not what the first one is."""
        hosts.answer = NotFetched("connect", permanent=False, led_to="far.example.com")
        await hosts.ask(1)
        hosts.answer = NotFetched("connect", permanent=False)
        for _ in range(2):
            for number in range(3):
                await hosts.ask(number)
        assert hosts.gates.shut() == ["cdn.example.com"]

    async def test_remembers_so_many(self, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
        """Senders name the hosts: the oldest are forgotten."""
        monkeypatch.setattr(host_gates_module, "_MOST", 2)
        for name in ("a", "b", "c"):
            await hosts.fail("connect", host=f"{name}.example.com")
        assert hosts.gates.shut() == ["b.example.com", "c.example.com"]


class TestOverdueMs:
    def test_as_long_as_an_asset_is_waited_for(self, hosts: Hosts) -> None:
        """What was received before comes to its end, whether its host is back or not."""
        assert abs(hosts.gates.overdue_ms() - (time.time() - PATIENCE_S) * 1000) < 60_000
