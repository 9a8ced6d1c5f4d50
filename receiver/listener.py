"""A listening socket: its port, its address, and how many connections the process may hold."""

import resource
import socket
import sys
from contextlib import suppress
from typing import Final

_BACKLOG: Final = 2048
"""Connections that wait to be accepted. Beyond it a client tries again a second later; behind it it waits."""
_OTHER_FILES: Final = 512
"""Files that a process has open besides its connections: databases, downloads, queues."""


def listen(host: str, port: int) -> socket.socket:
    """Take a port; 0 takes a free one.

    Raises:
        OSError: the port is not available.
        UnicodeError: *host* is not a valid host name.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, answers wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def origin(listener: socket.socket) -> str:
    """Return the URL of *listener*, such as `http://127.0.0.1:8000`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_room(connections: int) -> int:
    """Allow the process this many *connections*, as far as the system permits; return the number.

    Most systems start a process with a limit of 1,024 open files, and let it raise that. At the limit no
    connection is accepted at all, so we must set our own.
    """
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (sys.maxsize if limit == resource.RLIM_INFINITY else limit for limit in limits)
    wanted = min(connections + _OTHER_FILES, hard)
    if soft < wanted:
        with suppress(ValueError, OSError):  # where the system forbids it
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, limits[1]))
            soft = wanted
    return min(connections, soft - min(_OTHER_FILES, soft // 2))
