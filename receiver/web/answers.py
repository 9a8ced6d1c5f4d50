"""Answers, and the order in which a connection owes them.

Errors come in the provider's own envelope: `{"error": {"code", "message", "details"}}`.
"""

import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

if TYPE_CHECKING:
    import asyncio

RETRY_AFTER_S: Final = 5

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_CLOSE: Final = b"connection: close\r\n"


class Answer(NamedTuple):
    """One answer with a JSON body. Constant answers are built once and sent many times."""

    status: int
    body: bytes
    headers: bytes = b""
    """Further header lines, each with its line end."""
    closes: bool = False
    """We read no further, so the connection ends with this answer."""

    def encode(self, unix_s: int, *, closes: bool, with_body: bool = True) -> bytes:
        """Serialise it as HTTP/1.1, dated *unix_s*; *closes*: the connection ends with it."""
        return b"%bdate: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b%b\r\n%b" % (
            _STATUS_LINES[self.status],
            _date(unix_s),
            len(self.body),
            self.headers,
            _CLOSE if closes else b"",
            self.body if with_body else b"",
        )


@lru_cache(maxsize=2)
def _date(unix_s: int) -> bytes:
    return formatdate(unix_s, usegmt=True).encode()


@dataclass(slots=True, eq=False)
class Turn:
    """The place of one request in the order in which its connection owes answers."""

    closes: bool
    with_body: bool
    answer: Answer | None = None
    task: "asyncio.Task[None] | None" = None
    """Kept, because the event loop does not keep it."""


class Turns(list[Turn]):
    """The turns of one connection that are not over yet, oldest first.

    They are few, and an empty deque takes 700 bytes more for each of thousands of connections.
    """

    __slots__ = ()

    def take_ready(self, *, ends: bool) -> tuple[bytes, bool]:
        """Take the answers that may be sent now, and whether the connection ends with them.

        With *ends* it does once nothing more is owed.
        """
        ready = []
        is_last = False
        while self and not is_last:
            turn = self[0]
            if turn.answer is None:
                break
            self.pop(0)
            is_last = turn.closes or turn.answer.closes or (ends and not self)
            ready.append(turn.answer.encode(int(time.time()), closes=is_last, with_body=turn.with_body))
        return b"".join(ready), is_last


def _error(status: int, code: str, message: str, headers: bytes = b"", *, closes: bool = False) -> Answer:
    content = {"error": {"code": code, "message": message, "details": {}}}
    return Answer(status, orjson.dumps(content), headers, closes)


def _other_method(allowed: str) -> Answer:
    message = "This route does not support that method."
    return _error(405, "method_not_allowed", message, f"allow: {allowed}\r\n".encode(), closes=True)


ONLY_POST: Final = _other_method("POST")
ONLY_GET: Final = _other_method("GET, HEAD")
NOT_FOUND: Final = _error(404, "not_found", "There is nothing here.", closes=True)
NOT_GENUINE: Final = _error(401, "invalid_signature", "The signature does not match.")
"""The same bytes whatever is wrong with the signature."""
ENCODED: Final = _error(415, "unsupported_encoding", "Send the body without Content-Encoding.", closes=True)
MALFORMED: Final = _error(400, "bad_request", "This is not well-formed HTTP/1.1.", closes=True)
TOO_MANY_HEADERS: Final = _error(400, "headers_too_large", "The headers are too large.", closes=True)
TOO_LARGE: Final = _error(413, "payload_too_large", "The body is larger than any webhook.", closes=True)
TOO_SLOW: Final = _error(408, "request_timeout", "The request took too long to arrive.", closes=True)
UNAVAILABLE: Final = _error(
    503,
    "unavailable",
    "We could not confirm that this was recorded. Send it again.",
    f"retry-after: {RETRY_AFTER_S}\r\n".encode(),
)
"""The failure is ours: the sender should retry."""
