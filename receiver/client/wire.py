"""One exchange with a server: what goes out, and what came of it before anyone decides what that means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from receiver.client.timeout import Timeout

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""An API answer longer than this is not one."""

Sink = Callable[[bytes], object]
"""Takes the body of a download, piece by piece. What it raises ends the exchange."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request, ready to be written to a connection."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(default=None, repr=False)
    fresh: bool = False
    """Use a new connection: on a kept one, a failure to write does not tell whether anything arrived."""
    total_s: float | None = None
    """Longest time for the whole exchange, in seconds."""
    timeout: Timeout | None = None
    """Other limits than the transport's own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """Empty when the body went to a sink."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """No connection was made: the server cannot have seen the request."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A connection was made, and no whole answer came back: the server may have acted."""

    reason: str


Reply = Answer | Unsent | Lost


class Transport(Protocol):
    """Carries exchanges for `Client`. Replace it to test without a network."""

    def send(self, outgoing: Outgoing, *, sink: Sink | None = None) -> Reply:
        """Send once, whatever comes of it. The body of a 2xx goes to *sink*, if there is one."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


class AsyncTransport(Protocol):
    """Carries exchanges for `AsyncClient`. Replace it to test without a network."""

    async def send(self, outgoing: Outgoing, *, sink: Sink | None = None) -> Reply:
        """Send once, whatever comes of it. The body of a 2xx goes to *sink*, if there is one."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
