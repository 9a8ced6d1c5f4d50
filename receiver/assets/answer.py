"""One HTTP/1.1 answer, while it arrives. llhttp parses it; what it accepts too easily is refused here.

What it refuses although RFC 9110 and 9112 permit a client to accept it is corrected before.

| llhttp accepts                           | here |
|------------------------------------------|------|
| blank lines, RTSP or ICE before the head | malformed |
| a status below 100; 101, which we did not request | malformed |
| a blank before a header's colon; NUL in its value | malformed |
| a head, trailers or extensions of chunks of any size | malformed beyond 100 KiB without a byte of body |
| another answer after the end             | the connection is not used again |
| a transfer coding other than `chunked`, or that with a length | the same |
"""

import re
from http import HTTPStatus
from typing import Final

import httptools

Headers = list[tuple[bytes, bytes]]

_MAX_OVERHEAD_BYTES: Final = 100 * 1024
_FIRST_BYTE: Final = b"H"
_NO_BODY: Final = frozenset((204, 304))
_END: Final = re.compile(rb"\n\r?\n")  # lines may end with LF alone
_INTERIM: Final = re.compile(rb"HTTP/[0-9]\.[0-9] 1(?!01)[0-9]{2}[ \r\n]")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")  # with the blanks before it, it would take a quadratic time
_LENGTHS: Final = re.compile(rb"^content-length:([^\n]*)\n", re.IGNORECASE | re.MULTILINE)
_LENGTH: Final = re.compile(rb"[0-9]+")


class Malformed(Exception):
    """The received bytes are not an answer."""


class HungUp(Exception):
    """The host closed the connection before its answer was complete."""


class Answer:
    """The answer to one request, filled in by `feed`."""

    def __init__(self) -> None:
        self.status = 0
        """0 until the head is complete; the heads of 1xx are dropped."""
        self.headers: Headers = []
        """Headers of the head, each on one line; Content-Length once."""
        self.is_whole = False
        self.may_be_followed = False
        """Whether the connection may be used again."""
        self._parts: list[bytes] = []
        self._is_chunked = False
        self._overhead_bytes = 0
        """Received since the last piece of the body."""
        self._head = bytearray()
        """Bytes received until the head was complete."""
        self._fault: Malformed | None = None
        self._parser = httptools.HttpResponseParser(self)
        # As browsers do: lines may end with LF alone, blanks may follow a chunk's size, a header may hold
        # control characters. A length next to `chunked` is ignored, and such an answer is the connection's
        # last.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_version=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )

    def feed(self, data: bytes) -> None:
        """Parse *data*, which is not empty.

        Raises:
            Malformed: the head is malformed. For the body, `take` raises.
        """
        if self.status:
            self._overhead_bytes += len(data)
        else:
            self._head += data
            if not self._head.startswith(_FIRST_BYTE):
                raise Malformed("no status line")
            data = final(self._head, fresh_bytes=len(data))
            self._overhead_bytes = len(self._head)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.may_be_followed = False
            self._fault = Malformed(str(error))
        if self._overhead_bytes > _MAX_OVERHEAD_BYTES:
            self._fault = Malformed("too much besides a body")
        if self._fault and not self.status:
            raise self._fault

    def end(self) -> None:
        """Note that the host hung up.

        Raises:
            HungUp: the answer was incomplete. Malformed: it was not an answer.
        """
        if self._fault:
            raise self._fault
        has_length = bool(self._values(b"content-length"))
        if not self.status or self._is_chunked or (has_length and not self._values(b"transfer-encoding")):
            raise HungUp("the host hung up before its answer was complete")
        self.is_whole = True

    def take(self) -> bytes:
        """Return the body received since the last call.

        Raises:
            Malformed: there is none, and no more can come.
        """
        if self._fault and not (self._parts or self.is_whole):
            raise self._fault
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    # What httptools calls

    def on_message_begin(self) -> None:
        """Note data after the end of our answer."""
        if self.is_whole:
            self.may_be_followed = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; not a trailer."""
        if self.status:
            return
        self.headers.append((name, value))
        if name.endswith(b" ") or b"\0" in value:
            self._fault = Malformed("a blank before a colon, or NUL")

    def on_headers_complete(self) -> None:
        """Read the head."""
        if self.is_whole or self._fault:
            return
        status = self._parser.get_status_code()
        if status < HTTPStatus.OK:
            self._fault = Malformed("no final status")
            return
        self.status = status
        codings = self._values(b"transfer-encoding")
        self._is_chunked = bool(codings) and codings[-1].endswith(b"chunked")

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        if not self.is_whole:
            self._parts.append(data)
            self._overhead_bytes = 0

    def on_message_complete(self) -> None:
        """Note the end."""
        if self.status and not self.is_whole:
            self.is_whole = True
            self.may_be_followed = self._parser.should_keep_alive() and self._is_framed_plainly()

    def _is_framed_plainly(self) -> bool:
        """Whether every parser would see the same end."""
        if self._parser.get_http_version() != "1.1":
            return False
        codings, lengths = self._values(b"transfer-encoding"), self._values(b"content-length")
        if self.status in _NO_BODY:
            return not codings and not lengths
        return (codings, len(lengths)) in (([b"chunked"], 0), ([], 1))

    def _values(self, name: bytes) -> list[bytes]:
        return [value.strip().lower() for key, value in self.headers if key.lower() == name]


def final(came: bytearray, *, fresh_bytes: int) -> bytes:
    """Return what *came* from the last head on; nothing until that is complete. Drop the heads of 1xx.

    The last *fresh_bytes* are new.
    """
    since = max(0, len(came) - fresh_bytes - 2)
    while end := _END.search(came, since):
        if not _INTERIM.match(came):
            return mended(bytes(came[: end.end()])) + came[end.end() :]
        del came[: end.end()]
        since = 0
    return b""


def mended(head: bytes) -> bytes:
    """Return *head* with each header on one line, and equal repeated lengths merged into one.

    A line that begins with a blank before any header is not a header: it becomes part of the first line.
    """
    if b"\n " in head or b"\n\t" in head:
        head = _FOLD.sub(b" ", head)  # RFC 9112, sections 5.2 and 2.2
    told = b",".join(_LENGTHS.findall(head))
    length, *others = {each.strip(b" \t\r") for each in told.split(b",")}
    if b"," not in told or others or not _LENGTH.fullmatch(length):
        return head  # once, or wrong: the parser decides
    rest = _LENGTHS.sub(b"", head).rstrip(b"\r\n")
    return b"%b\r\nContent-Length: %b\r\n\r\n" % (rest, length)  # RFC 9110, section 8.6
