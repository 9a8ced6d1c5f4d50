"""A connection to RabbitMQ that can be dropped without the server's help.

The library's own `close` waits for the server's answer, which never comes from a hanging server.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aiormq
from aiormq.abc import AbstractChannel
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from yarl import URL

_GOODBYE_S: Final = 1.0


class Connection:
    """One connection. It is never re-established, so that the sender decides when to reconnect."""

    def __init__(self, target: URL, tls: ssl.SSLContext | None, *, title: str) -> None:
        self._sockets = _Sockets()
        self._channels = 0
        self._is_retired = False
        self._amqp = aiormq.Connection(
            target,
            context=tls,
            transport_factory=self._sockets,
            client_properties={"connection_name": title},
        )

    @property
    def is_open(self) -> bool:
        """Whether it is connected, as far as we know."""
        return self._amqp.is_opened

    async def dial(self) -> None:
        """Connect, once.

        Raises:
            AMQPError: the server refused, or could not be reached.
        """
        await self._amqp.connect()

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """Open a channel with publisher confirms, for the block.

        Raises:
            AMQPError, OSError: the connection is lost.
        """
        self._channels += 1
        try:
            channel = await self._open_channel()
            yield channel
            await channel.close()
        finally:
            self._channels -= 1
            self._drop_if_done()

    def retire(self) -> None:
        """Drop it once the last channel is done."""
        self._is_retired = True
        self._drop_if_done()

    async def aclose(self) -> None:
        """Close it, in good order if the server answers."""
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._amqp.close()
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Drop it; everything that waits on it fails at once."""
        self._sockets.abort()

    async def _open_channel(self) -> AbstractChannel:
        try:
            return await self._amqp.channel(on_return_raises=True)
        except RuntimeError as error:  # the library's only error for a closed connection
            raise ConnectionResetError("the connection is closed") from error

    def _drop_if_done(self) -> None:
        if self._is_retired and not self._channels:
            self.abort()


@contextmanager
def heartbeat_errors() -> Iterator[None]:
    """Raise ConnectionResetError if the library cancels the block, as it does when heartbeats stop."""
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # somebody else cancelled it
            raise
        raise ConnectionResetError("no heartbeat") from None


class _Sockets(TransportFactory):
    """Connects like the library, and remembers the socket."""

    def __init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        factory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, self._writer = await factory.create(url, **kwargs)
        return reader, self._writer

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
