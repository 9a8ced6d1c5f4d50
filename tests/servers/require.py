"""What a test does when the real server it needs is not on this machine."""

import os
import socket
from typing import Final, NoReturn

import pytest

# Taken out of the environment: the product refuses RECEIVER_ variables that it does not know.
_REQUIRED: Final = frozenset(os.environ.pop("RECEIVER_TEST_REQUIRE", "").split(","))


def missing(server: str, why: str, *, installer: str = "make setup") -> NoReturn:
    """Skip, saying which server is missing, or fail if RECEIVER_TEST_REQUIRE names it (or `all`)."""
    message = f"{server} is not available here: {why} (`{installer}` installs it)"
    if "all" in _REQUIRED or server in _REQUIRED:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def free_ports(count: int) -> list[int]:
    """Return *count* different loopback ports, free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()
