"""Taking the port that the settings name, and telling systemd that the process is ready."""

import contextlib
import os
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


def announce_ready() -> None:
    """Send READY=1 to the service manager's socket, if any.

    Source: sd_notify(3).
    """
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    # A stale variable must not end a working process.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.connect(f"\0{path[1:]}" if path.startswith("@") else path)
        manager.send(b"READY=1")
