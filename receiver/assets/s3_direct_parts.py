"""UploadPart without boto3: from the file to the store, without copying through this process.

The digests for signing and checking a part come from the download. So nothing is read or hashed again, and
the store refuses a file that has changed on disk. boto3 repeats everything but plain successes.
"""

import http.client
import os
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from http import HTTPStatus
from typing import BinaryIO, Final, TypeVar

from botocore.exceptions import BotoCoreError

from receiver.assets import Part
from receiver.assets.s3_client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from receiver.assets.s3_idle import IdleConnections
from receiver.assets.s3_way import Address, ObservedWay, Signed, trusting
from receiver.threads import DaemonThreads

_OF_ONE_ASSET: Final = 3
"""Simultaneous parts: the store processes one while others are being sent."""
_BLOCK_BYTES: Final = 256 * 1024

Item = TypeVar("Item")
Result = TypeVar("Result")


class DirectParts:
    """Sends parts as botocore sent the last object. Safe in threads."""

    def __init__(self, observed: ObservedWay, ca_file: str, *, at_once: int) -> None:
        self._observed = observed
        self._ca_file = ca_file
        self._trusting: ssl.SSLContext | None = None
        self._threads = DaemonThreads(at_once, name="receiver-s3-part")
        self._idle: IdleConnections[http.client.HTTPConnection] = IdleConnections()

    def each(self, send: Callable[[Item], Result], parts: Iterable[Item]) -> list[Result]:
        """Call *send* for all *parts*, a few at a time. Raises its errors once none is in progress."""
        running: deque[Future[Result]] = deque()
        done: list[Result] = []
        try:
            for part in parts:
                if len(running) == _OF_ONE_ASSET:
                    done.append(running.popleft().result())
                running.append(self._threads.submit(send, part))
            while running:
                done.append(running.popleft().result())
        finally:
            # A part that arrives after the upload was aborted stays, and costs money.
            wait([future for future in running if not future.cancel()])
        return done

    def send(self, file: BinaryIO, part: Part, key: str, query: Mapping[str, str]) -> str | None:
        """Send *part* of *file*; return its ETag, or None if boto3 has to try."""
        way = self._observed.way
        if way is None:
            return None
        connection = None
        try:
            signed = way.signed(key, query, {"x-amz-checksum-crc32": part.crc32_base64}, part.sha256)
            connection = self._idle.take(way.address) or self._connected(way.address)
            _ask(connection, signed, file, part)
            answer = connection.getresponse()
            answer.read(_BLOCK_BYTES)
        except (OSError, BotoCoreError, http.client.HTTPException):
            if connection:
                connection.close()
            return None
        if answer.isclosed() and not answer.will_close:
            self._idle.keep(way.address, connection)
        else:
            connection.close()
        return answer.headers["ETag"] if answer.status == HTTPStatus.OK else None

    def close(self) -> None:
        """Close the connections; parts in progress fail."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._idle.close()

    def _connected(self, address: Address) -> http.client.HTTPConnection:
        host, port, is_encrypted = address
        connection = (
            http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT_S, context=self._context())
            if is_encrypted
            else http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT_S)
        )
        connection.connect()
        connection.sock.settimeout(READ_TIMEOUT_S)
        return connection

    def _context(self) -> ssl.SSLContext:
        self._trusting = self._trusting or trusting(self._ca_file)
        return self._trusting


def _ask(connection: http.client.HTTPConnection, signed: Signed, file: BinaryIO, part: Part) -> None:
    connection.putrequest("PUT", signed.target, skip_host=True, skip_accept_encoding=True)
    for name, value in (*signed.headers.items(), ("Content-Length", str(part.size_bytes))):
        connection.putheader(name, value)
    connection.endheaders()
    if isinstance(connection.sock, ssl.SSLSocket):
        sent = _encrypt(connection.sock, file, part)
    else:
        sent = connection.sock.sendfile(file, part.start, part.size_bytes)
    if sent != part.size_bytes:
        raise ConnectionError("the file is shorter than it was")


def _encrypt(to: ssl.SSLSocket, file: BinaryIO, part: Part) -> int:
    """Send *part*; `SSLSocket.sendfile` does so in blocks of 8 KiB."""
    sent = 0
    while block := os.pread(file.fileno(), min(part.size_bytes - sent, _BLOCK_BYTES), part.start + sent):
        to.sendall(block)
        sent += len(block)
    return sent
