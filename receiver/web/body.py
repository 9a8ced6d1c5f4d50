"""Reading a request body within bounds."""

from collections.abc import Sequence
from typing import Final

from starlette.types import Receive

MAX_BODY_BYTES: Final = 256 * 1024

Headers = Sequence[tuple[bytes, bytes]]
"""As ASGI hands them over: names in lower case."""


class BodyRefusal(Exception):
    """The body will not be read further; *status* says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def read_body(headers: Headers, receive: Receive) -> bytes:
    """Return the whole body. How long it may take is the server's business: see `receiver.web.server`.

    Raises:
        BodyRefusal: 415 for an encoded body, 413 for more than 256 KiB whether declared or sent,
            408 when the client went away or was too slow.
    """
    for name, value in headers:
        if name == b"content-encoding" and value.strip().lower() != b"identity":
            raise BodyRefusal(415)
        if name == b"content-length" and value.isdigit() and int(value) > MAX_BODY_BYTES:
            raise BodyRefusal(413)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyRefusal(408)
        body += message["body"]
        if len(body) > MAX_BODY_BYTES:
            raise BodyRefusal(413)
        if not message["more_body"]:
            return bytes(body)
