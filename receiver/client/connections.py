"""Connections whose exchanges end in time, however slow the other side is.

httpx2 limits only the wait for the next bytes, each way: single bytes could keep it waiting forever.
"""

import math
import os
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import httpcore2
import httpx2

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_ends_at: Final[ContextVar[float]] = ContextVar("ends_at", default=math.inf)
"""The deadline of this thread's exchange, on the monotonic clock."""
_PIECE: Final = 16 * 1024
"""Bytes written at once."""

Home = tuple[int, "AbstractEventLoop | None"]
"""A process, and one of its event loops."""


def is_left(home: Home) -> bool:
    """Whether its connections can no longer be used by anyone."""
    pid, loop = home
    return pid != os.getpid() or (loop is not None and loop.is_closed())


class OutOfTime(httpx2.TimeoutException):
    """The exchange did not end in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no complete answer within {seconds:.0f} s")


class AsyncConnections(httpx2.AsyncHTTPTransport):
    """For async callers. They belong to the process and event loop that created them."""

    @staticmethod
    def home() -> "Home":
        """Return the owner of connections created now."""
        import asyncio  # noqa: PLC0415  # blocking callers do not need it, and it is slow to import

        return os.getpid(), asyncio.get_running_loop()

    def __init__(self, *, verify: ssl.SSLContext, proxy: str | None) -> None:
        super().__init__(verify=verify, trust_env=False, proxy=proxy)

    @asynccontextmanager
    async def within(self, seconds: float | None) -> AsyncIterator[None]:
        """End the block after this many seconds.

        Raises:
            OutOfTime: it had not finished by then.
        """
        import asyncio  # noqa: PLC0415  # blocking callers do not need it, and it is slow to import

        limit_s = math.inf if seconds is None else seconds
        try:
            async with asyncio.timeout(None if math.isinf(limit_s) else limit_s) as limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise OutOfTime(limit_s) from error


class Connections(httpx2.HTTPTransport):
    """For blocking callers. They belong to the process that created them."""

    @staticmethod
    def home() -> "Home":
        """Return the owner of connections created now."""
        return os.getpid(), None

    def __init__(self, *, verify: ssl.SSLContext, proxy: str | None) -> None:
        super().__init__(verify=verify, trust_env=False, proxy=proxy)
        # httpx2 accepts no custom network, but its pool has one, which creates every connection.
        self._pool._network_backend = _Network(self._pool._network_backend)  # noqa: SLF001

    @contextmanager
    def within(self, seconds: float | None) -> Iterator[None]:
        """End this thread's block after this many seconds.

        Raises:
            OutOfTime: it had not finished by then.
        """
        limit_s = math.inf if seconds is None else seconds
        before = _ends_at.set(time.monotonic() + limit_s)
        try:
            yield
        except httpx2.TimeoutException as error:
            if time.monotonic() < _ends_at.get():
                raise
            raise OutOfTime(limit_s) from error
        finally:
            _ends_at.reset(before)


class _Network(httpcore2.NetworkBackend):
    """Connects through another, within the remaining time."""

    def __init__(self, network: httpcore2.NetworkBackend) -> None:
        self._network = network

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect."""
        left_s = _left_of(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._network.connect_tcp(host, port, left_s, local_address, socket_options))


class _Stream(httpcore2.NetworkStream):
    """Reads and writes through another, within the remaining time."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read available bytes."""
        return self._stream.read(max_bytes, _left_of(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it. Each piece has only the time left: the other side may read slowly."""
        for start in range(0, len(buffer), _PIECE):
            piece = buffer[start : start + _PIECE]
            self._stream.write(piece, _left_of(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        """Close."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Return the same stream, encrypted."""
        left_s = _left_of(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left_s))

    def get_extra_info(self, info: str) -> Any:
        """Return information about the stream."""
        return self._stream.get_extra_info(info)


def _left_of(timeout: float | None, late: type[Exception]) -> float | None:
    left_s = _ends_at.get() - time.monotonic()
    if left_s <= 0:
        raise late("the time is up")
    shorter = left_s if timeout is None else min(timeout, left_s)
    return None if math.isinf(shorter) else shorter
