"""Taking connections: a flood of one network keeps nobody else out."""

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from receiver.listener import listen
from receiver.web import acceptor
from receiver.web.acceptor import Acceptor
from tests.waiting.aio import until

STRANGER = "127.0.0.1"
SENDER = "127.0.0.2"


@dataclass
class Site:
    """A listening socket, and the peers that were served, in order."""

    listener: socket.socket
    served: list[str] = field(default_factory=list)
    clients: ExitStack = field(default_factory=ExitStack)

    def connect(self, address: str = STRANGER) -> socket.socket:
        client = socket.create_connection(self.listener.getsockname(), 30, (address, 0))
        return self.clients.enter_context(client)

    def protocol(self) -> asyncio.Protocol:
        return Noted(self)


@dataclass
class Noted(asyncio.Protocol):
    site: Site

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.site.served.append(transport.get_extra_info("peername")[0])


@asynccontextmanager
async def accepted(
    site: Site, *, most_waiting: int = 1000, is_crowded: Callable[[], bool] = lambda: False
) -> AsyncIterator[None]:
    """Take the connections of *site* within the block."""
    taking = Acceptor(site.listener, site.protocol, most_waiting=most_waiting, is_crowded=is_crowded)
    taking.start()
    with site.clients:
        try:
            yield
        finally:
            await taking.stop()


@pytest.fixture
def site() -> Site:
    return Site(listen("127.0.0.1", 0))


async def test_a_reset_connection_is_not_served(site: Site) -> None:
    """Neither one reset at once, nor one reset after bytes, nor one that hung up without a word."""
    for said in (b"", b"POST /"):
        client = site.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(said)
        client.close()
    site.connect().close()
    site.connect(SENDER)
    async with accepted(site):
        await until(lambda: site.served)
    assert site.served == [SENDER]


async def test_a_request_before_the_end_is_served(site: Site) -> None:
    """A client may close its side behind its request, and wait for the answer."""
    client = site.connect()
    client.sendall(b"POST /")
    client.shutdown(socket.SHUT_WR)
    async with accepted(site):
        await until(lambda: site.served)


async def test_a_flood_of_one_network_keeps_no_other_waiting(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes behind hundreds is served among the first."""
    monkeypatch.setattr(acceptor, "_TAKING_S", 60.0)
    for _ in range(300):
        site.connect()
    site.connect(SENDER)
    async with accepted(site):
        await until(lambda: len(site.served) == 301)
    assert site.served.index(SENDER) < 8


async def test_serves_one_by_one_while_it_is_crowded(site: Site) -> None:
    """Those served before wait for their turn: more of them would only take memory."""
    asked = 0

    def is_crowded() -> bool:
        nonlocal asked
        asked += 1
        return True

    for _ in range(20):
        site.connect()
    async with accepted(site, is_crowded=is_crowded):
        await until(lambda: len(site.served) == 20)
    assert asked == 20


async def test_too_many_of_one_network(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those go first that came first of the network that has most; all others are served."""
    monkeypatch.setattr(acceptor, "_TAKING_S", 60.0)
    for _ in range(20):
        site.connect()
    site.connect(SENDER)
    async with accepted(site, most_waiting=5):
        await until(lambda: len(site.served) == 5)
    assert sorted(site.served) == [STRANGER] * 4 + [SENDER]


async def test_no_file_is_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it waits a moment instead of asking again and again, and goes on."""
    asked = 0

    class Full(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    monkeypatch.setattr(acceptor, "_PAUSE_S", 0.01)
    site.listener = Full(fileno=site.listener.detach())
    site.connect()
    async with accepted(site):
        await until(lambda: site.served)
        assert asked == 3


async def test_stop_while_no_file_is_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then those that wait cannot be taken, and nothing goes on with the closed listener."""

    class Full(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            raise OSError(errno.EMFILE, "Too many open files")

    loop, troubles, later = asyncio.get_running_loop(), list[object](), asyncio.Event()
    loop.set_exception_handler(lambda _loop, context: troubles.append(context))
    monkeypatch.setattr(acceptor, "_PAUSE_S", 0.0)
    site.listener = Full(fileno=site.listener.detach())
    async with accepted(site):
        site.connect()
    loop.call_later(0.0, later.set)
    await later.wait()
    assert troubles == []


async def test_stop_serves_those_that_wait(site: Site) -> None:
    """Taken or not, while it pauses or has more to serve."""
    for _ in range(100):
        site.connect()
    async with accepted(site):
        await until(lambda: site.served)
        assert len(site.served) < 100
        for _ in range(50):
            site.connect()
    assert len(site.served) == 150
