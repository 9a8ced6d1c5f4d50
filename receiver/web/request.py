"""A request while it arrives, and its limits."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

import httptools

from receiver.web.answers import MALFORMED, TOO_LARGE, TOO_MANY_HEADERS, Answer

MAX_BODY_BYTES: Final = 256 * 1024
MAX_HEADER_BYTES: Final = 16 * 1024
MAX_HEADERS: Final = 100
MAX_CHUNKS: Final = 4096
"""Maximum pieces of a body: each costs time, however small it is."""
MAX_WIRE_BYTES: Final = 1024 * 1024
"""Maximum size as sent: chunk headers, extensions and trailers may be far larger than the body."""

_PIECE_BYTES: Final = 128
"""Memory that Python needs for one header or piece of a body, besides its bytes."""
_CODINGS: Final = frozenset(
    (b"br", b"compress", b"deflate", b"gzip", b"x-compress", b"x-gzip", b"zstd", b"dcb", b"dcz")
)
"""Compressions of a body. Any other word, such as `utf-8`, is a sender's mistake: the signature decides."""


class Refused(Exception):
    """The request is not read further; *answer* says why."""

    def __init__(self, answer: Answer, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer
        self.reason = reason


@dataclass(slots=True, eq=False)
class Request:
    """One request. The parser fills it in; the application gets it once it is complete."""

    peer: str
    """Address of the peer, perhaps a proxy."""
    method: bytes = b""
    target: bytes = b""
    path: bytes = b""
    """Without the query, percent-decoded."""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Names in lower case."""
    body: bytes = b""
    length: int | None = None
    """The declared length of the body, until it is known to be chunked."""
    is_encoded: bool = False
    """Whether its Content-Encoding says that the body is compressed."""
    expects_continue: bool = False
    must_close: bool = False
    """Whether the connection may not be used after it: RFC 9112, section 6.1."""
    head_is_whole: bool = False
    is_timed: bool = False
    """Whether the connection's deadline is the request's own."""
    wire_bytes: int = 0
    body_bytes: int = 0
    chunks: list[bytes] = field(default_factory=list)

    def values(self, name: bytes) -> list[bytes]:
        """Return every value of the header *name*, which is in lower case."""
        return [value for known, value in self.headers if known == name]

    @property
    def missing(self) -> int:
        """How much of a body of declared length is missing."""
        return max(0, (self.length or 0) - self.body_bytes) if self.head_is_whole else 0

    @property
    def held_bytes(self) -> int:
        """Its approximate memory: small pieces need more than they carry."""
        return self.wire_bytes + _PIECE_BYTES * (len(self.headers) + len(self.chunks))

    def take_header(self, name: bytes, value: bytes) -> None:
        """Accept a header; trailers are dropped.

        Raises:
            Refused: there are too many.
        """
        if self.head_is_whole:
            return
        if len(self.headers) == MAX_HEADERS:
            raise Refused(TOO_MANY_HEADERS, "headers_too_large")
        # Blanks around a value are no part of it (RFC 9110, section 5.5). The parser drops those before.
        self.headers.append((name.lower(), value.rstrip(b" \t")))

    def read_head(self, method: bytes, *, is_http_1_1: bool) -> None:
        """Check the headers, now that they are complete.

        Raises:
            Refused: they are too large, the body is declared larger than 256 KiB or has no end
                (RFC 9112, section 6.3), or there is not exactly one Host (section 3.2).
        """
        self.head_is_whole = True
        self.method = method
        self.path = _path(self.target)
        self._check_size()
        hosts = 0
        is_chunked, has_end = False, True
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                self.length = int(value)
            elif name == b"transfer-encoding":
                is_chunked = True
                has_end = value.rpartition(b",")[2].strip().lower() == b"chunked"
            elif name == b"content-encoding":
                self.is_encoded |= any(word.strip().lower() in _CODINGS for word in value.split(b","))
            elif name == b"expect":
                self.expects_continue = is_http_1_1 and value.lower() == b"100-continue"
        if not has_end or (hosts != 1 and (is_http_1_1 or hosts)):
            raise Refused(MALFORMED, "malformed")
        self.must_close = method == b"CONNECT" or (is_chunked and self.length is not None)
        if is_chunked:
            self.length = None
        if self.length is not None and self.length > MAX_BODY_BYTES:
            raise Refused(TOO_LARGE, "too_large")

    def head_without_offer(self, http_version: str) -> bytes:
        """Return the head as it came, without an offer to upgrade the connection."""
        lines = [b"%b %b HTTP/%b\r\n" % (self.method, self.target, http_version.encode())]
        for name, value in self.headers:
            kept = value
            if name == b"connection":
                words = [word.strip() for word in value.split(b",")]
                kept = b", ".join(word for word in words if word.lower() != b"upgrade")
            if name != b"upgrade":
                lines.append(b"%b: %b\r\n" % (name, kept))
        return b"".join([*lines, b"\r\n"])

    def check_incoming(self, size: int) -> None:
        """Count *size* more bytes from the network, after which the request is still incomplete.

        Raises:
            Refused: the headers or the request are too large.
        """
        self.wire_bytes += size
        if not self.head_is_whole and self.wire_bytes > MAX_HEADER_BYTES:
            raise Refused(TOO_MANY_HEADERS, "headers_too_large")
        if self.wire_bytes > MAX_WIRE_BYTES:
            raise Refused(TOO_LARGE, "too_large")

    def take_chunk(self, chunk: bytes) -> None:
        """Take in a piece of the body.

        Raises:
            Refused: the body is larger than 256 KiB, or comes in more than 4,096 pieces.
        """
        self.chunks.append(chunk)
        self.body_bytes += len(chunk)
        if self.body_bytes > MAX_BODY_BYTES or len(self.chunks) > MAX_CHUNKS:
            raise Refused(TOO_LARGE, "too_large")

    def _check_size(self) -> None:
        # Within one segment, the limit is not checked while they arrive.
        size = len(self.target) + sum([len(name) + len(value) for name, value in self.headers])
        if size > MAX_HEADER_BYTES:
            raise Refused(TOO_MANY_HEADERS, "headers_too_large")


def _path(target: bytes) -> bytes:
    """Return the path of *target*, in origin or absolute form: RFC 9112, section 3.2."""
    if not target.startswith(b"/"):
        try:
            target = httptools.parse_url(target).path or b"/"
        except httptools.HttpParserInvalidURLError:
            return b""
    path = target.partition(b"?")[0]
    return unquote_to_bytes(path) if b"%" in path else path
