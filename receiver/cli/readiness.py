"""Tell systemd that this process is ready, so that a rolling restart waits for it."""

import contextlib
import os
import socket


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
