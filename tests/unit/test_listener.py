"""A listening socket: taking a port, and saying where it is."""

import socket

import pytest

from receiver.listener import listen, origin


class TestListen:
    def test_takes_a_free_port(self) -> None:
        """With Nagle's algorithm off: asyncio looks at the protocol."""
        with listen("127.0.0.1", 0) as listener:
            assert listener.proto == socket.IPPROTO_TCP
            with socket.create_connection(listener.getsockname()):
                pass

    @pytest.mark.parametrize("host", ["192.0.2.1", "a..b"])
    def test_what_cannot_be_had(self, host: str) -> None:
        """The caller says it in the words of its settings; nothing stays open."""
        with pytest.raises((OSError, UnicodeError)):
            listen(host, 0)

    def test_taken_port(self) -> None:
        """Two never share one."""
        with listen("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
            listen(*taken.getsockname())


class TestOrigin:
    @pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
    def test_is_a_url(self, host: str, shown: str) -> None:
        """An IPv6 address stands in brackets."""
        with listen(host, 0) as listener:
            assert origin(listener) == f"http://{shown}:{listener.getsockname()[1]}"
