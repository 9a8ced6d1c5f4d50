"""What a test does when the real server it needs is not on this machine."""

import os
import socket
from itertools import count, islice
from typing import Final, NoReturn

import pytest

# Renamed, for the processes among which the tests are shared: the product refuses RECEIVER_ variables that it
# does not know.
_INHERITED: Final = "TEST_REQUIRE"
os.environ[_INHERITED] = os.environ.pop("RECEIVER_TEST_REQUIRE", os.environ.get(_INHERITED, ""))
_REQUIRED: Final = frozenset(os.environ[_INHERITED].split(","))

# Below the ports that the kernel gives to clients, and apart for each process that runs tests: a server that
# takes seconds to come up, or is down for a while, finds its port free.
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_FIRST: Final = 12_000 + 2_000 * (_WORKER % 8)
_PORTS: Final = (_FIRST + (os.getpid() + step) % 2_000 for step in count())


def missing(server: str, why: str, *, installer: str = "make setup") -> NoReturn:
    """Skip, saying which server is missing, or fail if RECEIVER_TEST_REQUIRE names it (or `all`)."""
    message = f"{server} is not available here: {why} (`{installer}` installs it)"
    if "all" in _REQUIRED or server in _REQUIRED:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def free_ports(count: int) -> list[int]:
    """Return *count* different loopback ports, free a moment ago."""
    return list(islice(filter(_is_free, _PORTS), count))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
