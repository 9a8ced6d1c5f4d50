"""What is different when awaiting; `tests/unit/client/blocking/test_transport.py` says the rest of both."""

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
import trustme

from receiver.client.aio import transport
from receiver.client.aio.transport import HttpTransport
from receiver.client.wire import Answer, Lost, Outgoing, Reply, Timeout, Unsent
from tests.servers.require import free_ports
from tests.unit.client import raw_server
from tests.unit.client.raw_server import Behaviour

T = TypeVar("T")


async def send(url: str) -> Reply:
    transport = HttpTransport(Timeout(read_s=0.3))
    try:
        return await transport.send(Outgoing("POST", url, {}, b"{}", fresh=True, total_s=1))
    finally:
        await transport.close()


class TestSend:
    @pytest.mark.parametrize(
        "behaviour",
        [
            raw_server.close,
            raw_server.reset,
            raw_server.cut,
            raw_server.stall,
            raw_server.drip,
            raw_server.drip_head,
        ],
    )
    async def test_lost_when_the_server_saw_it(self, behaviour: Behaviour) -> None:
        """However the answer fails to come, the request was there once."""
        with raw_server.raw_server(behaviour) as server:
            assert isinstance(await send(server.url), Lost)
            assert len(server.requests) == 1

    async def test_lost_when_tls_breaks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy that answers in plain text, in the middle of the encrypted conversation."""
        authority = trustme.CA()
        theirs, ours = (ssl.SSLContext(side) for side in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))
        authority.issue_cert("127.0.0.1").configure_cert(theirs)
        authority.configure_trust(ours)
        monkeypatch.setattr(transport, "_tls", lambda: ours)

        def in_plain_text(connection: socket.socket) -> None:
            os.write(connection.fileno(), b"HTTP/1.1 502 Bad Gateway\r\n\r\n")

        with raw_server.raw_server(in_plain_text, tls=theirs) as server:
            assert isinstance(await send(server.url.replace("http", "https")), Lost)
            assert len(server.requests) == 1

    async def test_unsent(self) -> None:
        """Refused, and TLS that fails."""
        assert isinstance(await send(f"http://127.0.0.1:{free_ports(1)[0]}"), Unsent)
        with raw_server.raw_server(raw_server.close) as server:
            assert isinstance(await send(server.url.replace("http", "https")), Unsent)
            assert server.requests == []

    async def test_unsent_when_the_time_ends_before_the_connection(self) -> None:
        """Whoever waits for the other side's TLS has sent nothing."""
        transport = HttpTransport(Timeout(connect_s=9))
        with raw_server.raw_server(raw_server.stall) as server:
            url = server.url.replace("http", "https")
            assert isinstance(
                await transport.send(Outgoing("POST", url, {}, fresh=True, total_s=0.2)), Unsent
            )
            assert server.requests == []
        await transport.close()

    async def test_many_at_once(self) -> None:
        """One transport carries as many exchanges as are asked of it."""
        transport = HttpTransport(Timeout())
        with raw_server.raw_server(raw_server.answer(200, b"{}")) as server:
            asked = Outgoing("GET", server.url, {})
            replies = await asyncio.gather(*(transport.send(asked) for _ in range(20)))
            await transport.close()
        assert [type(reply) for reply in replies] == [Answer] * 20


class TestHome:
    """A client is made once, and used in whatever loop runs."""

    def test_one_loop_after_another(self) -> None:
        """As `asyncio.run` in a script or a test suite makes them; the second connects for itself."""
        transport = HttpTransport(Timeout())
        with raw_server.raw_server(raw_server.answer(200, b"{}")) as server:

            async def ask() -> Reply:
                reply = await transport.send(Outgoing("GET", server.url, {}))
                return reply if await transport.send(Outgoing("GET", server.url, {})) == reply else Lost("x")

            replies = [asyncio.run(_closing(transport, ask())) for _ in range(3)]
            assert [type(reply) for reply in replies] == [Answer] * 3
            assert server.connections == 3

    @pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
    def test_a_loop_that_ended_without_closing(self) -> None:
        """What it left is dropped, not used."""
        transport, loop = HttpTransport(Timeout()), asyncio.new_event_loop()
        with raw_server.raw_server(raw_server.answer(200, b"{}")) as server:
            asked = Outgoing("GET", server.url, {})
            assert isinstance(loop.run_until_complete(transport.send(asked)), Answer)
            loop.close()
            assert isinstance(asyncio.run(_closing(transport, transport.send(asked))), Answer)
            assert transport._kept == {}
            gc.collect()

    def test_loops_of_several_threads_at_once(self) -> None:
        """Each has connections of its own; closing in one leaves the others alone."""
        transport = HttpTransport(Timeout())
        with raw_server.raw_server(raw_server.answer(200, b"{}")) as server:

            async def ask() -> list[Reply]:
                return [await transport.send(Outgoing("GET", server.url, {})) for _ in range(10)]

            with ThreadPoolExecutor(4) as pool:
                runs = [pool.submit(asyncio.run, _closing(transport, ask())) for _ in range(8)]
                replies = [reply for run in runs for reply in run.result()]
        assert [type(reply) for reply in replies] == [Answer] * 80


async def _closing(transport: HttpTransport, what: Coroutine[Any, Any, T]) -> T:
    try:
        return await what
    finally:
        await transport.close()
