"""Bounds on what a client may do before its request is whole."""

import asyncio
import socket

import pytest
import structlog.testing

from receiver.web.app import build_app
from receiver.web.server import DeadlineProtocol
from tests.unit.web.serving import SOURCES, FakeStore, Site, request, served, until

LIMIT_S = 0.3
HEALTHZ = request("GET", "/healthz")
POST = b"POST /webhooks/photoverse HTTP/1.1\r\n"


@pytest.fixture(autouse=True)
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeadlineProtocol, "request_timeout_s", LIMIT_S)


async def drip(site: Site, first: bytes, then: bytes) -> float:
    """Say *first*, then *then* over and over; return the seconds until the other side hung up."""
    loop = asyncio.get_running_loop()
    async with site.wire() as wire, asyncio.timeout(5 * LIMIT_S):
        await wire.say(first)
        began = loop.time()
        hung_up = asyncio.create_task(wire.rest())
        while not hung_up.done():
            wire.writer.write(then)
            await asyncio.wait([hung_up], timeout=LIMIT_S / 5)
        return loop.time() - began


class TestDeadlineProtocol:
    @pytest.mark.parametrize(
        ("first", "then"),
        [
            (b"", b""),
            (b"GET /healthz HTTP/1.1\r\n", b""),
            (b"GET /healthz HTTP/1.1\r\n", b"a: b\r\n"),
            (HEALTHZ, b"GET "),
        ],
        ids=["silence", "headers never finished", "headers dripping", "second request dripping"],
    )
    async def test_hangs_up(self, site: Site, first: bytes, then: bytes) -> None:
        """Who does not finish the headers in time is hung up on, in a first request or a later one."""
        assert LIMIT_S * 0.9 <= await drip(site, first, then) <= LIMIT_S * 4

    async def test_body_that_nobody_reads(self, site: Site) -> None:
        """A body dripping into a route that takes none holds no connection open."""
        await drip(site, request("GET", "/healthz", headers={"Content-Length": "100000"}), b"x")

    async def test_keeps_idle_connections(self, site: Site) -> None:
        """Between requests a connection may rest for longer than headers may take."""
        async with site.wire() as wire:
            for _ in range(2):
                await wire.say(HEALTHZ)
                assert (await wire.hear()).status == 200
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(wire.reader.read(1), LIMIT_S * 2)

    async def test_slow_answer_is_not_cut_off(self, store: FakeStore) -> None:
        """The limit is for headers: an answer may take longer."""
        looked = asyncio.Event()

        async def check() -> None:
            await looked.wait()

        store.check = check  # type: ignore[method-assign]
        async with served(build_app(SOURCES, store)) as site, site.wire() as wire:
            await wire.say(request("GET", "/readyz"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wire.reader.read(1), LIMIT_S * 2)
            looked.set()
            assert (await wire.hear()).status == 200

    async def test_pipelined_requests(self, site: Site) -> None:
        """Requests sent in one breath are answered one by one."""
        async with site.wire() as wire:
            await wire.say(HEALTHZ * 3)
            assert [(await wire.hear()).status for _ in range(3)] == [200] * 3


class TestBuildServer:
    @pytest.mark.parametrize(
        "head",
        [
            b"nonsense\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 20_000,
            POST + b"Host: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            POST + b"Host: h\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            POST + b"Host: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ],
        ids=["nonsense", "no host", "endless header", "two lengths", "endless length", "bad chunk"],
    )
    async def test_bad_request(self, site: Site, head: bytes) -> None:
        """What is no HTTP is 400 and the end of the connection."""
        async with site.wire() as wire:
            await wire.say(head)
            assert (await wire.rest()).startswith(b"HTTP/1.1 400")

    async def test_bad_requests_do_not_flood_the_log(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A hundred strangers talking nonsense are worth a line or two, not a hundred."""
        with structlog.testing.capture_logs() as lines:
            for _ in range(100):
                async with site.wire() as wire:
                    await wire.say(b"nonsense\r\n\r\n")
                    await wire.rest()
        assert len(lines) + len(caplog.records) <= 2

    async def test_bad_body_of_a_route_that_takes_none(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A stranger cannot make us print tracebacks."""
        async with site.wire() as wire:
            await wire.say(b"GET /healthz HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
            await wire.rest()
        assert [record for record in caplog.records if record.exc_info] == []

    async def test_drains(self, store: FakeStore) -> None:
        """A server told to stop answers what it has begun, and takes nothing new."""
        may_answer = asyncio.Event()

        async def check() -> None:
            store.checks += 1
            await may_answer.wait()

        store.check = check  # type: ignore[method-assign]
        async with asyncio.timeout(10):
            serving = served(build_app(SOURCES, store))
            site = await serving.__aenter__()
            async with site.wire() as wire:
                await wire.say(request("GET", "/readyz"))
                await until(lambda: store.checks)
                stopping = asyncio.create_task(serving.__aexit__(None, None, None))
                await until(lambda: _refuses(site.port))
                may_answer.set()
                assert (await wire.hear()).status == 200
            await stopping


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False
