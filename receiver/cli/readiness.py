"""Tell systemd that this process serves, so that a restart one by one waits for it."""

import contextlib
import os
import socket


def announce_ready() -> None:
    """Send READY=1 to the socket that the service manager named, if any.

    Source: sd_notify(3).
    """
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    # A variable left over from elsewhere must not end a process that works.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.connect(f"\0{path[1:]}" if path.startswith("@") else path)
        manager.send(b"READY=1")
