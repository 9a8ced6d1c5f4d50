"""HTTP/1.1 for a PUT: kept connections on the event loop.

boto3, through urllib3 and http.client, takes five times the processor time, and a thread.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import httptools

from receiver.assets.s3_idle import IdleConnections
from receiver.assets.s3_way import Address

_MAX_ANSWER_BYTES: Final = 1024 * 1024
_FIRST_FINAL_STATUS: Final = 200


class Answer(NamedTuple):
    """A store's answer without the body."""

    status: int
    headers: dict[str, str]
    """Headers, by names in lower case."""


class Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._answer: asyncio.Future[Answer] | None = None
        self._headers: dict[str, str] = {}
        self._size_bytes = 0
        self._parser = httptools.HttpResponseParser(self)
        self.is_open = False

    async def put(self, head: bytes, body: bytes, *, patience_s: float) -> Answer:
        """Send one request; return its answer.

        Raises:
            TimeoutError: no progress for *patience_s*.
            OSError: the connection broke, or the data is not an answer.
        """
        self._answer, self._size_bytes = asyncio.get_running_loop().create_future(), 0
        self._transport.writelines((head, body))
        left = self._transport.get_write_buffer_size()
        try:
            while not (await asyncio.wait((self._answer,), timeout=patience_s))[0]:
                before, left = left, self._transport.get_write_buffer_size()
                if left >= before:
                    raise TimeoutError
        finally:
            self._answer.cancel()  # if there is none, asyncio would log that nobody took its error
        if self._transport.get_write_buffer_size():  # refused before it was read
            self.close()
        return self._answer.result()

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport, self.is_open = transport, True

    def data_received(self, data: bytes) -> None:
        """Read the answer."""
        self._size_bytes += len(data)
        if self._answer is None or self._answer.done() or self._size_bytes > _MAX_ANSWER_BYTES:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """Note the end of the answer."""
        self.is_open = False
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionError("no answer"))

    def on_message_begin(self) -> None:
        """Do not reuse a connection with data after the answer; httptools calls this."""
        if self._answer is None or self._answer.done():
            self.is_open = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; httptools calls this."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_message_complete(self) -> None:
        """Return the answer to the caller, unless it is a 1xx; httptools calls this."""
        headers, self._headers = self._headers, {}
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            return
        self.is_open = self.is_open and self._parser.should_keep_alive()
        if self._answer and not self._answer.done():
            self._answer.set_result(Answer(status, headers))


class Connections:
    """A limited number of connections to one store."""

    def __init__(self, trusting: Callable[[], ssl.SSLContext], at_once: int) -> None:
        self._trusting = trusting
        self._context: ssl.SSLContext | None = None
        self._places = asyncio.Semaphore(at_once)
        self._idle: IdleConnections[Connection] = IdleConnections()

    async def put(
        self, address: Address, head: bytes, body: bytes, *, connect_s: float, patience_s: float
    ) -> Answer:
        """Send one request to *address*; return its answer. Raises the same as `Connection.put`."""
        async with self._places:
            connection = self._take_open(address) or await self._connect(address, connect_s)
            try:
                answer = await connection.put(head, body, patience_s=patience_s)
            except BaseException:
                connection.close()
                raise
            if connection.is_open:
                self._idle.keep(address, connection)
            else:
                connection.close()
            return answer

    def close(self) -> None:
        """Hang up."""
        self._idle.close()

    def _take_open(self, address: Address) -> Connection | None:
        while connection := self._idle.take(address):
            if connection.is_open:
                return connection
            connection.close()
        return None

    async def _connect(self, address: Address, connect_s: float) -> Connection:
        if address.is_encrypted and self._context is None:
            self._context = await asyncio.to_thread(self._trusting)
        context = self._context if address.is_encrypted else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(connect_s):
                made = await loop.create_connection(Connection, address.host, address.port, ssl=context)
        except TimeoutError as error:
            raise ConnectionError("not connected in time") from error
        return made[1]
