"""Taking the port that the settings name."""

import socket

from receiver import listener
from receiver.errors import ConfigError


def listen(host: str, port: int, *, prefix: str = "RECEIVER_") -> socket.socket:
    """Take a port.

    Raises:
        ConfigError: it is not available; the message names the settings `<prefix>HOST` and `<prefix>PORT`.
    """
    try:
        return listener.listen(host, port)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{prefix}HOST and {prefix}PORT: cannot listen on {host}:{port} ({why})") from error
