"""One exchange with a server: the request and the reply, before anyone interprets it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long to wait for the provider, in seconds."""

    connect_s: float = 5.0
    read_s: float = 30.0
    """For the next bytes of an answer."""
    total_s: float = 60.0
    """For a whole exchange, however slowly its answer arrives. Downloads may take longer, as long as bytes
    arrive."""


T = TypeVar("T")

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Longer API answers are refused."""

Sink = Callable[[bytes], object]
"""Receives the body of a download, piece by piece. An exception ends the exchange."""


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """One call, without the API key: safe to keep, to pickle and to show."""

    method: str
    path: str
    """Below the base URL."""
    read: Callable[[Any], T] = field(repr=False)
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = True
    """False if sending it twice could charge or create twice."""
    body_expected: bool = True
    """False if an empty 2xx is a valid answer."""

    def url(self, base_url: str) -> str:
        """Return its URL."""
        return base_url + self.path + (f"?{urlencode(self.query)}" if self.query else "")

    def content(self) -> bytes | None:
        """Return the body as bytes."""
        if self.body is None:
            return None
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request, ready to send."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(default=None, repr=False)
    fresh: bool = False
    """Use a new connection: on a kept one, a write error does not show whether anything arrived."""
    total_s: float | None = None
    """Longest time for the whole exchange, in seconds."""
    timeout: Timeout | None = None
    """Overrides the transport's limits."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

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
    """A connection was made, but no complete answer came back: the server may have acted."""

    reason: str


Reply = Answer | Unsent | Lost


class Transport(Protocol):
    """Carries exchanges for `Client`. Replace it to test without a network."""

    def send(self, outgoing: Outgoing, *, sink: Sink | None = None) -> Reply:
        """Send once, whatever the result. The body of a 2xx goes to *sink*, if there is one."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


class AsyncTransport(Protocol):
    """Carries exchanges for `AsyncClient`. Replace it to test without a network."""

    async def send(self, outgoing: Outgoing, *, sink: Sink | None = None) -> Reply:
        """Send once, whatever the result. The body of a 2xx goes to *sink*, if there is one."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
