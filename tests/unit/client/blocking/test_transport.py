"""What came of one exchange, against a server that misbehaves at the level of sockets."""

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from receiver.client.blocking.transport import HttpTransport
from receiver.client.wire import MAX_ANSWER_BYTES, Answer, Lost, Outgoing, Timeout, Unsent
from tests.servers.require import free_ports
from tests.unit.client import raw_server
from tests.unit.client.raw_server import Behaviour

KEY = {"Authorization": "Bearer avs_live_hush"}
WITHIN_S = 30.0
SOON_S = 1.0
"""For what is never answered whole; sending it takes a millisecond."""


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    transport = HttpTransport(Timeout(connect_s=WITHIN_S, read_s=WITHIN_S))
    yield transport
    transport.close()


def order(url: str, *, total_s: float = WITHIN_S) -> Outgoing:
    return Outgoing("POST", f"{url}/generate/image", KEY, b"{}", fresh=True, total_s=total_s)


class TestSend:
    def test_whole_answer(self, transport: HttpTransport) -> None:
        """Status, headers in lower case, body."""
        with raw_server.raw_server(raw_server.answer(201, b'{"a": 1}', "X-Thing: Yes")) as server:
            reply = transport.send(order(server.url))
        assert reply == Answer(201, {"content-length": "8", "x-thing": "Yes"}, b'{"a": 1}')

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
    def test_lost_when_the_server_saw_it(self, transport: HttpTransport, behaviour: Behaviour) -> None:
        """However the answer fails to come, the request was there once."""
        with raw_server.raw_server(behaviour) as server:
            assert isinstance(transport.send(order(server.url, total_s=SOON_S)), Lost)
            assert len(server.requests) == 1

    def test_what_drips_on_a_kept_connection_is_lost(self, transport: HttpTransport) -> None:
        """The limit is that of the exchange, not of the connection."""
        with raw_server.raw_server(raw_server.answer(), raw_server.drip_head) as server:
            asked = Outgoing("GET", server.url, {}, total_s=SOON_S)
            assert isinstance(transport.send(asked), Answer)
            assert isinstance(transport.send(asked), Lost)
            assert server.connections == 1

    def test_unsent_when_nobody_listens(self, transport: HttpTransport) -> None:
        """A refused connection is certainly nothing sent."""
        assert isinstance(transport.send(order(f"http://127.0.0.1:{free_ports(1)[0]}")), Unsent)

    def test_unsent_when_tls_fails(self, transport: HttpTransport) -> None:
        """No key and no prompt leave before the server has proved who it is."""
        with raw_server.raw_server(raw_server.close) as server:
            assert isinstance(transport.send(order(server.url.replace("http", "https"))), Unsent)
            assert server.requests == []

    def test_unsent_when_the_time_ends_before_the_connection(self) -> None:
        """Whoever waits for the other side's TLS has sent nothing."""
        patient = HttpTransport(Timeout(connect_s=9))
        with raw_server.raw_server(raw_server.stall) as server:
            url = server.url.replace("http", "https")
            assert isinstance(patient.send(Outgoing("POST", url, {}, fresh=True, total_s=0.2)), Unsent)
            assert server.requests == []

    def test_unsent_when_nobody_accepts(self) -> None:
        """A connection that is never made times out, with nothing sent."""
        hasty = HttpTransport(Timeout(connect_s=0.2, read_s=5))
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            address = full.getsockname()
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            reply = hasty.send(order(f"http://127.0.0.1:{address[1]}"))
            for filler in fillers:
                filler.close()
        assert isinstance(reply, Unsent)

    @pytest.mark.parametrize(
        "url",
        [
            *("http://", "https://x:99999/", "gopher://x/", "http://[x"),
            *("https://a..b/", f"https://{'a' * 64}.example/", "https://127.0.0.1/\ud83d"),
        ],
    )
    def test_unsent_when_the_address_is_none(self, transport: HttpTransport, url: str) -> None:
        """An address that cannot be read leads nowhere."""
        assert isinstance(transport.send(Outgoing("GET", url, {})), Unsent)

    def test_reads_keep_their_connection_and_orders_never_use_it(self, transport: HttpTransport) -> None:
        """A kept connection that fails cannot tell whether the order arrived."""
        with raw_server.raw_server(raw_server.answer()) as server:
            for _ in range(3):
                transport.send(Outgoing("GET", server.url, {}))
            assert server.connections == 1
            transport.send(order(server.url))
            transport.send(order(server.url))
            assert server.connections == 3

    def test_threads_share_what_is_kept(
        self, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However many come first at the same moment, there is one pool of connections to close."""
        together = threading.Barrier(2)
        make = HttpTransport._connections

        def slowly(self: HttpTransport) -> object:
            with suppress(threading.BrokenBarrierError):
                together.wait(0.2)
            return make(self)

        monkeypatch.setattr(HttpTransport, "_connections", slowly)
        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(lambda _: transport._keep(), range(2))
        assert one is other

    def test_an_endless_answer_is_lost(self, transport: HttpTransport) -> None:
        """Memory has a limit."""
        with raw_server.raw_server(raw_server.answer(200, b" " * (MAX_ANSWER_BYTES + 1))) as server:
            assert isinstance(transport.send(Outgoing("GET", server.url, {})), Lost)

    def test_sink_takes_the_body_of_a_success_only(self, transport: HttpTransport) -> None:
        """An error page is not the file."""
        chunks = list[bytes]()
        answers = raw_server.answer(404, b"gone"), raw_server.answer(200, b"file")
        with raw_server.raw_server(*answers) as server:
            assert transport.send(Outgoing("GET", server.url, {}), sink=chunks.append).__class__ is Answer
            assert chunks == []
            transport.send(Outgoing("GET", server.url, {}), sink=chunks.append)
        assert b"".join(chunks) == b"file"

    def test_no_environment_and_no_redirects(
        self, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy in the environment does not get the key, nor does another host."""
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
        with raw_server.raw_server(raw_server.answer(307, b"", "Location: http://127.0.0.1:1/")) as server:
            reply = transport.send(order(server.url))
        assert isinstance(reply, Answer)
        assert reply.status == 307

    def test_goes_through_the_proxy_it_is_given(self) -> None:
        """And a proxy that refuses the way there has passed nothing on."""
        with raw_server.raw_server(raw_server.answer(200, b"{}")) as proxy:
            transport = HttpTransport(Timeout(), proxy=proxy.url)
            assert isinstance(transport.send(order("http://127.0.0.1:1")), Answer)
            transport.close()
        assert proxy.requests[0].startswith(b"POST http://127.0.0.1:1/generate/image HTTP/1.1")
        with raw_server.raw_server(raw_server.answer(407)) as proxy:
            transport = HttpTransport(Timeout(), proxy=proxy.url)
            assert isinstance(transport.send(order("https://127.0.0.1:1")), Unsent)
            transport.close()
        assert [request.split(b" ")[0] for request in proxy.requests] == [b"CONNECT"]
        assert b"hush" not in proxy.requests[0]

    def test_limits_of_one_exchange(self) -> None:
        """What is sent may bring its own patience."""
        transport = HttpTransport(Timeout(read_s=30))
        with raw_server.raw_server(raw_server.stall) as server:
            hasty = Outgoing("GET", server.url, {}, timeout=Timeout(read_s=0.05))
            assert isinstance(transport.send(hasty), Lost)
        transport.close()

    def test_logs_neither_key_nor_address(
        self, transport: HttpTransport, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Not even at the finest level."""
        caplog.set_level(logging.DEBUG)
        with raw_server.raw_server(raw_server.answer()) as server:
            transport.send(Outgoing("GET", f"{server.url}/a?X-Signature=hush", KEY))
        assert "hush" not in caplog.text
