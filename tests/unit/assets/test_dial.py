"""The address gate, against a listener that counts who reaches it."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from ipaddress import IPv6Network

import httpcore2
import pytest

from receiver.assets.allowlist import AllowList
from receiver.assets.dial import (
    _DNS_THREADS,
    GuardedBackend,
    NameNotResolved,
    Nat64,
    Resolve,
    SystemResolver,
)
from receiver.assets.guard import BlockedAddress
from tests.processes import ends
from tests.unit.assets.conftest import HOST, RawServer, Serve, answers

DEAD_NAME_SERVER = """
import asyncio, socket, threading
from receiver.assets.dial import SystemResolver
socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
async def main():
    resolver = SystemResolver()
    try:
        await asyncio.wait_for(resolver("example.com", 443), 0.1)
    except TimeoutError:
        resolver.close()
asyncio.run(main())
"""
SILENT = "silent.example.com"
WITHIN_S = 10


class Dialled(httpcore2.AnyIOBackend):
    """A network on which nobody answers."""

    async def connect_tcp(self, *_args: object, **_options: object) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.ConnectError("nobody")


def backend(resolve: Resolve, *allow: str) -> GuardedBackend:
    return GuardedBackend(resolve=resolve, allow=AllowList.parse(allow))


@pytest.fixture
async def private(serve: Serve) -> RawServer:
    """A listener on loopback, which counts who reaches it."""
    return await serve(b"", tls=False)


class Silence:
    """A system whose name servers answer at once for every name but one, which is silent until it is over."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun = threading.Event()
        self.over = threading.Event()
        self.error: OSError | None = None

    def getaddrinfo(self, host: str, port: int, **_options: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        if host == SILENT:
            self.begun.set()
            self.over.wait(WITHIN_S)
        if self.error:
            raise self.error
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", port))]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Silence]:
    silence = Silence()
    monkeypatch.setattr(socket, "getaddrinfo", silence.getaddrinfo)
    yield silence
    silence.over.set()


class TestConnectTcp:
    @pytest.mark.parametrize(
        "addresses", [["127.0.0.1"], ["::ffff:127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"]]
    )
    async def test_one_private_answer_blocks_all(self, private: RawServer, addresses: list[str]) -> None:
        """If any answer is not public, nothing is dialled at all."""
        with pytest.raises(BlockedAddress):
            await backend(answers(addresses)).connect_tcp(HOST, private.port, 1)
        assert private.connections == 0

    async def test_literals_are_checked_without_resolving(self, private: RawServer) -> None:
        """An address in the place of a name is not handed to the resolver, and is checked all the same."""
        with pytest.raises(BlockedAddress):
            await backend(answers("8.8.8.8")).connect_tcp("127.0.0.1", private.port, 1)
        assert private.connections == 0

    @pytest.mark.parametrize("allow", ["127.0.0.0/8", HOST])
    async def test_allowed_network_or_name(self, private: RawServer, allow: str) -> None:
        """An allowed network, or the name itself, opens the way."""
        stream = await backend(answers("127.0.0.1"), allow).connect_tcp(HOST, private.port, 5)
        await stream.aclose()

    async def test_name_allowed_on_another_port(self, private: RawServer) -> None:
        """A name allowed on one port is no leave for the next."""
        with pytest.raises(BlockedAddress):
            await backend(answers("127.0.0.1"), f"{HOST}:1").connect_tcp(HOST, private.port, 1)

    async def test_tries_the_next_address(self, private: RawServer) -> None:
        """An address that refuses is followed by the next one, in the resolver's order."""
        dialler = backend(answers(["127.0.0.2", "127.0.0.1"]), HOST)
        stream = await dialler.connect_tcp(HOST, private.port, 5)
        assert stream.get_extra_info("peername")[0] == "127.0.0.1"
        await stream.aclose()

    async def test_no_address_takes_us(self, private: RawServer) -> None:
        """When all refuse, the error is the library's own."""
        with pytest.raises(httpcore2.ConnectError):
            await backend(answers(["127.0.0.2", "127.0.0.3"]), HOST).connect_tcp(HOST, private.port, 1)

    @pytest.mark.parametrize(
        "error", [socket.gaierror(-2, "unknown"), OSError("down"), UnicodeError("label")]
    )
    async def test_resolver_failure(self, error: Exception) -> None:
        """Every way a resolver fails is one error."""

        async def resolve(_host: str, _port: int) -> list[str]:
            raise error

        with pytest.raises(NameNotResolved):
            await backend(resolve).connect_tcp(HOST, 443, 1)

    async def test_no_answer(self) -> None:
        """An empty answer is that error too."""
        with pytest.raises(NameNotResolved):
            await backend(answers([])).connect_tcp(HOST, 443, 1)

    @pytest.mark.parametrize("addresses", [["0.0.0.0"], ["::"], ["0.0.0.0", "::"]])
    async def test_filtered_name(self, private: RawServer, addresses: list[str]) -> None:
        """So is what a DNS filter answers; it is an address of ours, and never dialled."""
        with pytest.raises(NameNotResolved):
            await backend(answers(addresses)).connect_tcp(HOST, private.port, 1)
        assert private.connections == 0

    async def test_filtered_family(self, private: RawServer) -> None:
        """A filter may leave out one family: what is left is checked and dialled."""
        stream = await backend(answers(["::", "127.0.0.1"]), "127.0.0.0/8").connect_tcp(HOST, private.port, 5)
        await stream.aclose()
        with pytest.raises(BlockedAddress):
            await backend(answers(["::", "127.0.0.1"])).connect_tcp(HOST, private.port, 1)

    async def test_slow_resolver(self) -> None:
        """The deadline covers resolving."""

        async def resolve(_host: str, _port: int) -> list[str]:
            await asyncio.Event().wait()
            raise AssertionError

        with pytest.raises(TimeoutError):
            await backend(resolve).connect_tcp(HOST, 443, 0.05)


class TestNat64:
    @pytest.mark.parametrize(("shown", "refused"), [("2a00:64::192.0.0.170", True), ("2a00:65::1", False)])
    async def test_network_tells_its_prefix(self, shown: str, refused: bool) -> None:
        """A private address in the network's own NAT64 is refused, though the prefix is public."""

        async def resolve(host: str, _port: int) -> list[str]:
            return [shown] if host == "ipv4only.arpa" else ["2a00:64::10.0.0.1"]

        dialler = backend(resolve)
        dialler._network = Dialled()
        with pytest.raises(BlockedAddress if refused else httpcore2.ConnectError):
            await dialler.connect_tcp(HOST, 443, 1)

    async def test_private_prefix(self) -> None:
        """The operator may name one in private space; the network's own word for it is not enough."""

        async def resolve(host: str, _port: int) -> list[str]:
            return ["fd00:64::192.0.0.170"] if host == "ipv4only.arpa" else ["fd00:64::8.8.8.8"]

        for given, expected in ((), BlockedAddress), ((IPv6Network("fd00:64::/96"),), httpcore2.ConnectError):
            dialler = GuardedBackend(resolve=resolve, allow=AllowList(), nat64_prefixes=given)
            dialler._network = Dialled()
            with pytest.raises(expected):
                await dialler.connect_tcp(HOST, 443, 1)

    async def test_allowed_inside(self) -> None:
        """What the operator allows is allowed in NAT64, too."""
        dialler = backend(answers("64:ff9b::10.0.0.5"), "10.0.0.0/8")
        dialler._network = Dialled()
        with pytest.raises(httpcore2.ConnectError):
            await dialler.connect_tcp(HOST, 443, 1)

    async def test_is_asked_once(self) -> None:
        """The answer is kept for a while, and so is that there was none."""
        asked = 0

        async def resolve(_host: str, _port: int) -> list[str]:
            nonlocal asked
            asked += 1
            raise OSError

        nat64 = Nat64(resolve=resolve)
        assert [await nat64.prefixes() for _ in range(3)] == [()] * 3
        assert asked == 1

    async def test_silent_name_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name server that does not answer this name delays nothing for long."""

        async def resolve(_host: str, _port: int) -> list[str]:
            await asyncio.Event().wait()
            raise AssertionError

        monkeypatch.setattr("receiver.assets.dial._NAT64_LOOK_S", 0.05)
        assert await Nat64(resolve=resolve).prefixes() == ()


class TestSystemResolver:
    async def test_resolves_as_the_system_does(self) -> None:
        """Each address is given once, as text."""
        resolver = SystemResolver()
        found = await resolver("localhost", 443)
        resolver.close()
        assert "127.0.0.1" in found
        assert len(found) == len(set(found))

    async def test_runs_in_threads_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name server that hangs does not use up the threads that everyone shares."""
        names: list[str] = []

        def getaddrinfo(*_args: object, **_options: object) -> list[tuple[object, ...]]:
            names.append(threading.current_thread().name)
            return []

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        resolver = SystemResolver()
        await resolver("localhost", 443)
        resolver.close()
        assert names[0].startswith("receiver-dns")

    def test_dead_name_server_keeps_no_process_from_ending(self) -> None:
        """What still waits for it ends with the process."""
        assert ends(DEAD_NAME_SERVER)

    async def test_a_silent_name_holds_one_thread(self, silent: Silence) -> None:
        """Invariant 10: however often a name is asked for that nobody answers, others are resolved."""
        resolver = SystemResolver()
        asked = await asyncio.gather(
            *(asyncio.wait_for(resolver(SILENT, 443), 0.05) for _ in range(2 * _DNS_THREADS)),
            return_exceptions=True,
        )
        assert {type(answer) for answer in asked} == {TimeoutError}
        async with asyncio.timeout(WITHIN_S):
            assert await resolver(HOST, 443) == ["192.0.2.7"]
        resolver.close()
        assert silent.asked.count(SILENT) == 1

    async def test_all_who_ask_get_the_answer(self, silent: Silence) -> None:
        """One look-up answers all who asked meanwhile, whoever gave up; the next one asks anew."""
        resolver = SystemResolver()
        first, *others = [asyncio.create_task(resolver(SILENT, port)) for port in (443, 443, 8443)]
        await asyncio.to_thread(silent.begun.wait, WITHIN_S)
        first.cancel()
        silent.over.set()
        async with asyncio.timeout(WITHIN_S):
            assert await asyncio.gather(*others) == [["192.0.2.7"]] * 2
            await resolver(SILENT, 443)
        resolver.close()
        assert silent.asked == [SILENT] * 2

    async def test_all_who_ask_get_the_error(self, silent: Silence) -> None:
        """So does an error, which is not kept: the name may have an address the next time."""
        resolver = SystemResolver()
        silent.error = socket.gaierror(-3, "try again")
        asked = [asyncio.create_task(resolver(SILENT, 443)) for _ in range(3)]
        await asyncio.to_thread(silent.begun.wait, WITHIN_S)
        silent.over.set()
        async with asyncio.timeout(WITHIN_S):
            answers = await asyncio.gather(*asked, return_exceptions=True)
            silent.error = None
            assert await resolver(SILENT, 443) == ["192.0.2.7"]
        resolver.close()
        assert {type(answer) for answer in answers} == {socket.gaierror}
