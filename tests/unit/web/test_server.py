"""Stopping without costing anybody a request."""

import asyncio
import socket
import time
from contextlib import ExitStack, suppress

import pytest
import uvloop

from receiver.telemetry.refusals import Refusals
from receiver.web import registry, server
from receiver.web.app import PublicApp
from receiver.web.connection import Connection
from tests.unit.web.serving import SOURCES, FakeStore, request, served, signed
from tests.waiting.aio import until


def post() -> bytes:
    return request("POST", "/webhooks/photoverse", b"{}", signed(b"{}", now=int(time.time())))


class TestLines:
    async def test_rest_of_much(self, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever sends many requests in one breath waits in the long line to the last, not before others."""
        sizes: list[int] = []
        queue = registry.Registry.queue

        def noted(self: registry.Registry, connection: Connection, size: int) -> None:
            sizes.append(size)
            queue(self, connection, size)

        monkeypatch.setattr(registry.Registry, "queue", noted)
        count = 1000
        async with (
            served(PublicApp(SOURCES, store.record, store.check, Refusals())) as site,
            site.wire() as wire,
        ):
            await wire.say(request("GET", "/healthz") * count)
            for _ in range(count):
                assert (await wire.hear()).status == 200
        assert len(sizes) > 1
        assert min(sizes) > 4096

    async def test_network_has_its_turn(self) -> None:
        """Who waits behind others of one network reads before the second of them."""
        order: list[str] = []

        class Waiting:
            def __init__(self, peer: str) -> None:
                self.peer = peer

            def read_on(self) -> None:
                order.append(self.peer)

        lines = registry.Registry(max_connections=1)
        for peer in ("192.0.2.1",) * 200 + ("192.0.2.2",):
            lines.queue(Waiting(peer), 1)  # type: ignore[arg-type]
        assert lines.is_crowded()
        await until(lambda: len(order) == 201)
        assert order.index("192.0.2.2") == 1
        assert not lines.is_crowded()


class TestFlood:
    def test_connections_are_taken_together(self, store: FakeStore) -> None:
        """Hundreds that connect at once are served within a few turns of uvloop, not one in each."""

        async def flooded() -> int:
            turns = 0
            async with served(PublicApp(SOURCES, store.record, store.check, Refusals())) as site:
                with ExitStack() as stack:
                    for _ in range(300):
                        last = stack.enter_context(socket.create_connection(("127.0.0.1", site.port)))
                    last.sendall(request("GET", "/healthz"))
                    last.settimeout(0)
                    while turns < 1000:
                        turns += 1
                        await asyncio.sleep(0)
                        with suppress(BlockingIOError):
                            assert last.recv(100).startswith(b"HTTP/1.1 200")
                            break
            return turns

        assert uvloop.run(flooded()) < 100


class TestStop:
    async def test_order(self, store: FakeStore) -> None:
        """While it drains: not ready, every answer ends its connection, and new connections are taken."""
        serving = served(PublicApp(SOURCES, store.record, store.check, Refusals()), shutdown_delay_s=2)
        site = await serving.__aenter__()
        async with site.wire() as idle, site.wire() as busy:
            for wire in (idle, busy):
                await wire.say(post())
                assert "connection" not in (await wire.hear()).headers
            stopping = asyncio.create_task(serving.__aexit__(None, None, None))
            await asyncio.sleep(0)
            assert (await site.request("GET", "/readyz")).status == 503
            await busy.say(post())
            answer = await busy.hear()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await idle.rest() == b""
        await stopping
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", site.port), timeout=1)

    async def test_answers_what_has_begun(self, store: FakeStore) -> None:
        """An answer that takes longer than the delay is waited for."""
        may_answer = asyncio.Event()

        async def check() -> None:
            store.checks += 1
            await may_answer.wait()

        store.check = check  # type: ignore[method-assign]
        serving = served(PublicApp(SOURCES, store.record, store.check, Refusals()))
        site = await serving.__aenter__()
        async with site.wire() as wire, site.wire() as idle:
            await wire.say(request("GET", "/readyz"))
            await until(lambda: store.checks)
            stopping = asyncio.create_task(serving.__aexit__(None, None, None))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(idle.reader.read(1), 0.1)
            may_answer.set()
            assert (await wire.hear()).status == 200
            assert await idle.rest() == b""
        await stopping

    async def test_answers_what_is_in_line(self, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """A request that has not had its turn, as strangers used the time up, is waited for."""
        serving = served(PublicApp(SOURCES, store.record, store.check, Refusals()), shutdown_delay_s=0.1)
        site = await serving.__aenter__()
        async with site.wire() as waiting:
            with monkeypatch.context() as patch:
                patch.setattr(registry, "_SHORT_S", 0)
                await waiting.say(post())
                stopping = asyncio.create_task(serving.__aexit__(None, None, None))
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(waiting.reader.read(1), 0.4)
            assert (await waiting.hear()).status == 200
        await stopping

    async def test_answers_what_was_pipelined(self, store: FakeStore) -> None:
        """Requests sent in one breath are all answered, however many; the last answer ends the connection."""
        serving = served(PublicApp(SOURCES, store.record, store.check, Refusals()), shutdown_delay_s=2)
        site = await serving.__aenter__()
        async with site.wire() as wire:
            stopping = asyncio.create_task(serving.__aexit__(None, None, None))
            await asyncio.sleep(0)
            last = post()
            await wire.say((post() + request("GET", "/healthz")) * 50 + last[:-1])
            assert (await wire.hear()).status == 200
            await wire.say(last[-1:])
            answers = [await wire.hear() for _ in range(100)]
            assert await wire.rest() == b""
        await stopping
        assert {answer.status for answer in answers} == {200}
        assert ["connection" in answer.headers for answer in answers] == [False] * 99 + [True]

    async def test_waits_for_the_first_bytes(self, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that connected just before the end may ask; one that says nothing delays it little."""
        monkeypatch.setattr(server, "_FIRST_BYTES_S", 2.0)
        serving = served(PublicApp(SOURCES, store.record, store.check, Refusals()))
        site = await serving.__aenter__()
        async with site.wire() as new, site.wire() as silent:
            stopping = asyncio.create_task(serving.__aexit__(None, None, None))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(new.reader.read(1), 0.1)
            await new.say(post())
            assert (await new.hear()).status == 200
            assert await silent.rest() == b""
        await stopping
