"""Which responses may become an asset, decided before the body is read, and where a redirect leads.

A redirect comes from the owner of the host, so it may do less than a signed URL.

`new`: permanent only after the grace period, because a host may publish the file some time after the webhook.

| code            | permanent | when |
|-----------------|-----------|------|
| blocked_url     | yes | the URL gate refused it |
| blocked_address | yes | the host has an address that is not public |
| dns             | no  | the host's name did not resolve |
| connect         | no  | no address answered, or the server hung up before it answered |
| tls             | no  | the handshake failed; certificates get renewed |
| timeout         | no  | a deadline passed |
| redirect_location | new | a redirect without a Location, or with one that nobody can read |
| redirect_loop   | new | redirects lead in a circle |
| redirect_limit  | new | or further than five |
| redirect_blocked | new | or where no gate lets us go: the host may redirect elsewhere later |
| http_408, 425, 429, 5xx | no | the server asks us to come back, perhaps saying when |
| expired         | new | 403 or 404: what hosts answer for a URL that is not valid, or not yet |
| expired         | yes | 410, or a refusal that says so (`receiver.assets.expiry`) |
| http_*          | new | any other status, but for the successes in `_OK` |
| framing         | new | the end of the body is uncertain, or the head is malformed or too large |
| encoding        | new | compressed although we asked for identity |
| too_large       | yes | declared, or found, to be over the cap |
| empty           | new | 204, 205, 304, or no byte of body |
| wrong_type      | new | the content is text, or none of the types that are kept |
| truncated       | no  | the body stopped before its end |
| spool           | no  | our own disk failed or is full |
"""

import re
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urljoin

from receiver.assets import NotFetched
from receiver.assets.allowlist import parse_address
from receiver.assets.expiry import tells_of_denial, tells_of_expiry
from receiver.assets.guard import BlockedUrl, Target
from receiver.outcomes import MAX_SAID_BYTES
from receiver.retry_after import retry_after_s

Headers = Sequence[tuple[bytes, bytes]]

MAX_HEAD_BYTES: Final = 32 * 1024

EXPIRED: Final = "expired"
"""The one code for which the provider may have another URL."""
RETRYABLE: Final = frozenset(("dns", "connect", "tls", "timeout", "truncated", "spool"))
"""All temporary codes without a status in them."""

_LENGTH: Final = re.compile(rb"[0-9]{1,19}")
_RETRYABLE_STATUSES: Final = frozenset((408, 425, 429))
_EXPIRED_STATUSES: Final = frozenset((403, 404))
_FINAL: Final = frozenset(("too_large",))
"""Codes that no retry can change."""
_NO_CONTENT: Final = frozenset((204, 205, 304))
_OK: Final = frozenset(range(200, 300)) - {201, 202, 204, 205, 207, 208, 226}
"""Statuses that may bring the file: 203 if a proxy transformed it, unknown ones by RFC 9110, section 15.

201 and 202 report work in progress; 207, 208 and 226 answer other requests.
"""
_WHOLE_RANGE: Final = re.compile(rb"bytes 0-([0-9]{1,19})/([0-9]{1,19})", re.IGNORECASE)
# IANA's registry of HTTP content codings, but `identity`. Anything else in the header is not a coding: stores
# replay `aws-chunked`, and blanks, as they were uploaded.
_CODINGS: Final = frozenset(
    (
        *(b"aes128gcm", b"br", b"compress", b"dcb", b"dcz", b"deflate", b"exi", b"gzip"),
        *(b"pack200-gzip", b"x-compress", b"x-gzip", b"zstd"),
    )
)
MAX_REDIRECTS: Final = 5

_STATUSES: Final = frozenset((301, 302, 303, 307, 308))


class NotAcceptable(Exception):
    """This response never becomes an asset; holds what to return to the caller."""

    def __init__(
        self,
        code: str,
        *,
        permanent: bool | None = None,
        after_s: float | None = None,
        may_appear: bool | None = None,
        said: bytes = b"",
    ) -> None:
        super().__init__(code)
        if permanent is None:
            permanent = code not in RETRYABLE
        if may_appear is None:
            may_appear = permanent and code not in _FINAL
        self.outcome = NotFetched(code, permanent, after_s, may_appear, said=said[:MAX_SAID_BYTES])


def require_small(headers: Headers) -> None:
    """Refuse a head that is larger than any legitimate one.

    Raises:
        NotAcceptable: so it is.
    """
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEAD_BYTES:
        raise NotAcceptable("framing")


def declared_length(
    status: int, headers: Headers, *, max_bytes: int, now: datetime, said: bytes = b""
) -> int | None:
    """Return the Content-Length of an acceptable response; None if its body is chunked.

    Args:
        status: the final one, after any 1xx.
        headers: as received, in any case.
        max_bytes: the most an asset may hold.
        now: aware; a Retry-After date is relative to it.
        said: how the body of a refusal begins.

    Raises:
        NotAcceptable: this response is not an asset.
    """
    require_small(headers)
    _require_ok(status, headers, now, said)
    if _CODINGS.intersection(_tokens(headers, b"content-encoding")):
        raise NotAcceptable("encoding")
    length = _framed_length(headers)
    if status == HTTPStatus.PARTIAL_CONTENT:
        length = _whole_range(headers, length)
    if length == 0:
        raise NotAcceptable("empty")
    if length is not None and length > max_bytes:
        raise NotAcceptable("too_large")
    return length


def _require_ok(status: int, headers: Headers, now: datetime, said: bytes) -> None:
    if status in _OK:
        return
    if status in _NO_CONTENT:
        raise NotAcceptable("empty", after_s=_retry_after_s(headers, now))
    after_s = _retry_after_s(headers, now)
    if status in _RETRYABLE_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise NotAcceptable(f"http_{status}", permanent=False, after_s=after_s, said=said)
    told = b"\n".join((said, *values(headers, b"x-ms-error-code")))
    if status == HTTPStatus.GONE or tells_of_expiry(told):
        raise NotAcceptable(EXPIRED, may_appear=False, said=said)
    is_denied = status in _EXPIRED_STATUSES or tells_of_denial(told)
    raise NotAcceptable(EXPIRED if is_denied else f"http_{status}", after_s=after_s, said=said)


def _retry_after_s(headers: Headers, now: datetime) -> float | None:
    value, date = (
        next(iter(values(headers, name)), b"").decode("latin-1") for name in (b"retry-after", b"date")
    )
    return retry_after_s(value, now=now.timestamp(), date=date)


def _framed_length(headers: Headers) -> int | None:
    lengths = values(headers, b"content-length")
    codings = values(headers, b"transfer-encoding")
    if [coding.lower() for coding in codings] == [b"chunked"] and not lengths:
        return None
    # A body that ends with the connection looks complete even if it was cut (RFC 9112, section 6.3).
    if codings or len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
        raise NotAcceptable("framing")
    return int(lengths[0])


def _whole_range(headers: Headers, length: int | None) -> int:
    """Return the length of an unrequested partial response, if it contains the whole file."""
    ranges = values(headers, b"content-range")
    told = _WHOLE_RANGE.fullmatch(ranges[0]) if len(ranges) == 1 else None
    if not told or int(told[1]) + 1 != int(told[2]) or length not in (None, int(told[2])):
        raise NotAcceptable(f"http_{HTTPStatus.PARTIAL_CONTENT}")
    return int(told[2])


def _tokens(headers: Headers, name: bytes) -> list[bytes]:
    return [token.strip().lower() for value in values(headers, name) for token in value.split(b",")]


def values(headers: Headers, name: bytes) -> list[bytes]:
    """Return the values of all headers called *name*, in lower case."""
    return [value.strip() for key, value in headers if key.lower() == name]


def next_url(status: int, headers: Headers, at: Target) -> str | None:
    """Return the URL that a response from *at* redirects to; None if it is not a redirect.

    Raises:
        NotAcceptable: it is a redirect that cannot be followed.
    """
    if status not in _STATUSES:
        return None
    require_small(headers)
    locations = set(values(headers, b"location"))
    if len(locations) != 1 or b"" in locations:
        raise NotAcceptable("redirect_location")
    try:
        return urljoin(at.url, locations.pop().decode())
    except ValueError as error:  # not UTF-8, or brackets without an address
        raise NotAcceptable("redirect_location") from error


def require_followable(target: Target, hops: Sequence[Target]) -> None:
    """Refuse *target*, which passed the URL gate, if it leads back, too far, or down from the last of *hops*.

    Raises:
        NotAcceptable: in a circle, or after too many others.
        BlockedUrl: it leaves https, or a name for an address.
    """
    if target in hops:
        raise NotAcceptable("redirect_loop")
    if len(hops) > MAX_REDIRECTS:
        raise NotAcceptable("redirect_limit")
    if hops[-1].scheme == "https" and target.scheme != "https":
        raise BlockedUrl("a redirect must not leave https")
    if parse_address(target.host) and not parse_address(hops[-1].host):
        raise BlockedUrl("a redirect must not lead from a name to an address")
