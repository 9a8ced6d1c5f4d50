"""Who runs this command, for the audit log."""

import getpass
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from receiver.store import Store

_MOST_CHARS: Final = 128


async def note(store: "Store", what: str, on: str = "") -> None:
    """Record that the user of this machine does *what*."""
    from receiver.operations import audit

    await audit.note(store, operator(), what, on)


def operator() -> str:
    """Return the user and the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"[:_MOST_CHARS]
