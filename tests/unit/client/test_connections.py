"""Exchanges that end in time, over TLS and for those who block and those who await."""

import socket
import ssl
import threading
from collections.abc import Iterator

import httpx2
import pytest
import trustme

from receiver.client.connections import AsyncConnections, Connections, OutOfTime
from tests.unit.client.raw_server import RawServer, answer, drip_head, raw_server


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[RawServer]:
    """Answers at once, and then byte by byte."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with raw_server(answer(201), drip_head, tls=context) as server:
        yield server


def request(server: RawServer) -> httpx2.Request:
    return httpx2.Request("GET", server.url.replace("http", "https"), extensions={"timeout": {"read": 0.3}})


class TestWithin:
    def test_ends_what_drips(self, server: RawServer, trusting: ssl.SSLContext) -> None:
        """Each byte comes soon enough, the last one does not."""
        with Connections(verify=trusting, proxy=None) as connections:
            with connections.within(5):
                response = connections.handle_request(request(server))
                response.close()
            assert response.status_code == 201
            with pytest.raises(OutOfTime, match="no complete answer within 0 s"), connections.within(0.4):
                connections.handle_request(request(server))

    async def test_ends_what_drips_for_those_who_await(
        self, server: RawServer, trusting: ssl.SSLContext
    ) -> None:
        """The same, awaited."""
        async with AsyncConnections(verify=trusting, proxy=None) as connections:
            async with connections.within(5):
                response = await connections.handle_async_request(request(server))
                await response.aclose()
            assert response.status_code == 201
            with pytest.raises(OutOfTime, match="no complete answer within 0 s"):
                async with connections.within(0.4):
                    await connections.handle_async_request(request(server))

    def test_ends_what_is_taken_slowly(self, trusting: ssl.SSLContext) -> None:
        """Each piece of a long prompt is taken soon enough, the last one is not."""
        long, taken, over = bytes(30_000_000), list[int](), threading.Event()

        def take_slowly(connection: socket.socket) -> None:
            answer(201)(connection)
            while not over.wait(0.02) and (piece := connection.recv(100_000)):
                taken.append(len(piece))

        with raw_server(take_slowly) as server, Connections(verify=trusting, proxy=None) as connections:
            connections.handle_request(httpx2.Request("GET", server.url)).read()
            order = httpx2.Request("POST", server.url, content=long)
            with pytest.raises(OutOfTime), connections.within(0.4):
                connections.handle_request(order)
            over.set()
        assert 0 < sum(taken) < len(long) / 2

    def test_nothing_begins_when_the_time_is_up(self, trusting: ssl.SSLContext) -> None:
        """Not even a connection."""
        with raw_server(answer()) as server, Connections(verify=trusting, proxy=None) as connections:
            with pytest.raises(OutOfTime), connections.within(0):
                connections.handle_request(httpx2.Request("GET", server.url))
            assert server.connections == 0

    def test_the_shorter_limit_keeps_its_name(self, trusting: ssl.SSLContext) -> None:
        """A server that says nothing is told from one that drips."""
        with raw_server(drip_head) as server, Connections(verify=trusting, proxy=None) as connections:
            hasty = httpx2.Request("GET", server.url, extensions={"timeout": {"read": 0.001}})
            with pytest.raises(httpx2.ReadTimeout), connections.within(5):
                connections.handle_request(hasty)

    async def test_another_time_out_is_not_taken_for_it(self, trusting: ssl.SSLContext) -> None:
        """Such as that of a file system."""
        async with AsyncConnections(verify=trusting, proxy=None) as connections:
            with pytest.raises(TimeoutError, match="the disk"):
                async with connections.within(None):
                    raise TimeoutError("the disk")
