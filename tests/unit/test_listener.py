"""A listening socket: taking a port, and saying where it is, and holding many connections."""

import resource
import socket
from collections.abc import Iterator

import pytest

from receiver.listener import listen, make_room, origin


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


@pytest.fixture
def hard() -> Iterator[int]:
    """Restore how many files this process may open; the most that it may be allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class TestMakeRoom:
    def test_raises_the_limit(self, hard: int) -> None:
        """As far as it must, and never lowers it."""
        resource.setrlimit(resource.RLIMIT_NOFILE, (900, hard))
        assert make_room(500) == 500
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1012, hard)
        assert make_room(100) == 100
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1012, hard)

    def test_leaves_files_to_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the limit cannot be raised, connections get what is left, and half of it at least."""
        for soft, room in ((1024, 512), (600, 300), (256, 128), (resource.RLIM_INFINITY, 8192)):
            monkeypatch.setattr(resource, "getrlimit", lambda _kind, soft=soft: (soft, soft))
            assert make_room(8192) == room
