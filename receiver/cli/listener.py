"""Taking a port, and saying where it is."""

import socket
from typing import Final

from receiver.errors import ConfigError

_BACKLOG: Final = 2048


def listen(host: str, port: int, *, prefix: str = "RECEIVER_") -> socket.socket:
    """Take a port.

    Raises:
        ConfigError: it cannot be had; the message names the settings `<prefix>HOST` and `<prefix>PORT`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, answers wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, UnicodeError) as error:
        listener.close()
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{prefix}HOST and {prefix}PORT: cannot listen on {host}:{port} ({why})") from error
    return listener


def origin(listener: socket.socket) -> str:
    """Return where *listener* is reached, `http://127.0.0.1:8000`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
