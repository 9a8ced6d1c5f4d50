"""One TCP connection, encrypted or not, for `receiver.assets.connections`.

Not anyio's stream: its read-ahead is not visible, and unseen bytes would pass for the next answer.
"""

import asyncio
import select
import ssl
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, cast

import httpcore2

_READ_AHEAD_BYTES: Final = 256 * 1024


class Network(httpcore2.AsyncNetworkBackend):
    """Dials addresses."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore2's signature
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> "Wire":
        """Connect to *host*, an address.

        Raises:
            httpcore2.ConnectError: the connection was refused.
            httpcore2.ConnectTimeout: it took too long.
        """
        try:
            async with asyncio.timeout(timeout):
                _, wire = await asyncio.get_running_loop().create_connection(Wire, host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(error) from error
        except OSError as error:
            raise httpcore2.ConnectError(error) from error
        return wire


class Wire(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """A connection; receiving pauses while much data waits to be read."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._came: deque[bytes] = deque()
        self._came_bytes = 0
        self._is_paused = False
        self._ended: Exception | None = None
        """Why nothing more will come; EOFError if the other side hung up."""
        self._reader: asyncio.Future[None] | None = None
        """The future of a reader that waits for data."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Accept received data."""
        self._came.append(data)
        self._came_bytes += len(data)
        self._wake()
        if self._came_bytes > _READ_AHEAD_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Note that the other side hung up, and hang up too."""
        self.connection_lost(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the connection."""
        self._ended = self._ended or exc or EOFError()
        self._wake()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109
        """Return received data, at least a byte; nothing once the other side hung up.

        Raises:
            httpcore2.ReadError: the connection broke.
        """
        if not self._came and self._ended is None:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        if not self._came:
            if isinstance(self._ended, EOFError):
                return b""
            raise httpcore2.ReadError(self._ended)
        data = self._came.popleft()
        if len(data) > max_bytes:
            self._came.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._came_bytes -= len(data)
        if self._is_paused and not self._came:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    def _wake(self) -> None:
        if self._reader and not self._reader.done():
            self._reader.set_result(None)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        """Send *buffer*, which is small.

        Raises:
            httpcore2.WriteError: the connection broke.
        """
        if self._transport.is_closing():
            raise httpcore2.WriteError("closed")
        self._transport.write(buffer)

    async def aclose(self) -> None:
        """Hang up."""
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore2's signature
    ) -> "Wire":
        """Encrypt.

        Raises:
            httpcore2.ConnectError: the handshake failed.
            httpcore2.ConnectTimeout: it took too long.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                upgraded = await loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(error) from error
        except (OSError, ssl.SSLError) as error:
            raise httpcore2.ConnectError(error) from error
        if upgraded is None:
            raise httpcore2.ConnectError("closed")
        self._transport = upgraded
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return information about the connection; `is_readable`: whether unread data has arrived."""
        if info == "is_readable":
            return bool(self._came) or self._ended is not None or self._is_socket_readable()
        return self._transport.get_extra_info(info)

    def _is_socket_readable(self) -> bool:
        found = self._transport.get_extra_info("socket")
        if found is None or self._transport.is_closing():
            return True
        poll = select.poll()
        poll.register(cast("int", found.fileno()), select.POLLIN)
        return bool(poll.poll(0))
