"""A listener that takes connections and never says a word, as a dead server behind a living network."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent_url() -> Iterator[str]:
    """Offer the URL of one on loopback."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
