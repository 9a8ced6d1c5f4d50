"""The head of an HTTP/1.1 answer, put right before it is parsed, as RFC 9110 and 9112 let a client do."""

import re
from typing import Final

_END: Final = re.compile(rb"\n\r?\n")  # lines may end with LF alone
_INTERIM: Final = re.compile(rb"HTTP/[0-9]\.[0-9] 1(?!01)[0-9]{2}[ \r\n]")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")  # with the blanks before it, it would take a quadratic time
_LENGTHS: Final = re.compile(rb"^content-length:([^\n]*)\n", re.IGNORECASE | re.MULTILINE)
_LENGTH: Final = re.compile(rb"[0-9]+")


def final(came: bytearray, *, fresh_bytes: int) -> bytes:
    """Return what *came* from the last head on; nothing while that is not whole. Drop the heads of 1xx.

    *fresh_bytes* at its end were not looked at before.
    """
    since = max(0, len(came) - fresh_bytes - 2)
    while end := _END.search(came, since):
        if not _INTERIM.match(came):
            return mended(bytes(came[: end.end()])) + came[end.end() :]
        del came[: end.end()]
        since = 0
    return b""


def mended(head: bytes) -> bytes:
    """Return *head* with each header on one line, and a length that is told several times alike told once.

    A line that begins with a blank before any header counts for none: it becomes a part of the first line.
    """
    if b"\n " in head or b"\n\t" in head:
        head = _FOLD.sub(b" ", head)  # RFC 9112, sections 5.2 and 2.2
    told = b",".join(_LENGTHS.findall(head))
    length, *others = {each.strip(b" \t\r") for each in told.split(b",")}
    if b"," not in told or others or not _LENGTH.fullmatch(length):
        return head  # told once, or wrong: the parser says which
    rest = _LENGTHS.sub(b"", head).rstrip(b"\r\n")
    return b"%b\r\nContent-Length: %b\r\n\r\n" % (rest, length)  # RFC 9110, section 8.6
