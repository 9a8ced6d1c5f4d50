"""Prove that a delivery is the provider's, and sign one the same way.

The header is `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`. These rules apply, each with its reason for
a refusal:

- exactly one header (`header_count`), of at most 2048 printable ASCII bytes, made of `name=value` entries
  separated by commas (`header_malformed`); blanks may stand before an entry and nowhere else;
- exactly one `t`, in plain decimal: no sign, no padding, at most ten digits, so no milliseconds
  (`timestamp_malformed`), within the tolerance of the clock on either side, edges included
  (`timestamp_outside_window`);
- at least one `v1` of exactly 64 hex digits, either case; other values and other names are skipped
  (`no_signature`);
- one of these covers the body under one of the secrets (`mismatch`). The bytes as received are tried first,
  then what `JSON.stringify` would print of them, because that is what the provider's own example signs.

Source: https://aivisualstudio.co/docs/api, "Verifying Webhook Signatures".
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Final, Literal, NamedTuple

from receiver import ecmajson
from receiver.errors import NotJson, SignatureError

__all__ = ["SignatureError", "Verified", "check_secrets", "sign", "verify"]

MIN_SECRET_BYTES: Final = 16
MAX_HEADER_BYTES: Final = 2048
MAX_CANONICAL_BYTES: Final = 64 * 1024
MAX_CANONICAL_DEPTH: Final = 64
MAX_CANONICAL_VALUES: Final = 512
"""Printing costs time per value, and any stranger can cause it. The document's webhook has twelve."""

_PRINTABLE: Final = re.compile(rb"[\t -~]*")
_SECONDS: Final = re.compile(rb"0|[1-9][0-9]{0,9}")
_SHA256_HEX: Final = re.compile(rb"[0-9A-Fa-f]{64}")
_USUAL: Final = re.compile(rb"t=(0|[1-9][0-9]{0,9}),v1=([0-9A-Fa-f]{64})")
"""The header as the provider writes it; it can be read without splitting it into entries."""
_BLOCK_BYTES: Final = 64
"""Of SHA-256."""
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Verified:
    """A delivery with a valid signature."""

    via: Literal["raw", "canonical"]
    body: bytes = field(repr=False)
    """The bytes that were signed. Parse only these: the received ones may differ."""
    timestamp: int
    """When the sender signed, Unix seconds."""
    secret: int
    """The position, from 1, of the secret it was signed with; the first one if several match."""


class _Claim(NamedTuple):
    timestamp: bytes
    digests: Sequence[bytes]


def verify(
    headers: Sequence[bytes],
    body: bytes,
    *,
    secrets: Sequence[bytes],
    now: float,
    tolerance_s: int = 300,
    mode: Literal["auto", "raw"] = "auto",
) -> Verified:
    """Return the bytes that the signature covers, or refuse the delivery.

    The canonical form is tried second, only inside the window, up to 64 KiB, 64 levels of nesting and 512
    values, so that a forged delivery costs little more than its HMAC.

    Args:
        headers: every value of the signature header, as received.
        body: the request body, as received.
        secrets: each is tried, so that a secret can be rotated.
        now: the current time, Unix seconds.
        tolerance_s: how far the signing time may be from *now*, in either direction.
        mode: `raw` never tries the canonical form.

    Raises:
        SignatureError: the delivery is not genuine; `reason` says why.
        ValueError: see `check_secrets`.
    """
    keys = tuple(secrets)
    _check_once(keys)
    claim = _read_header(headers)
    timestamp = int(claim.timestamp)
    if not abs(now - timestamp) <= tolerance_s:
        raise SignatureError("timestamp_outside_window")
    if not claim.digests:
        raise SignatureError("no_signature")
    if place := _covers(claim, body, keys):
        return Verified("raw", body, timestamp, place)
    canonical = _canonical(body) if mode == "auto" else None
    if canonical is not None and (place := _covers(claim, canonical, keys)):
        return Verified("canonical", canonical, timestamp, place)
    raise SignatureError("mismatch")


def sign(body: bytes, *, secret: bytes, timestamp: int) -> str:
    """Return the header value that signs exactly these bytes at *timestamp*, Unix seconds."""
    signed = b"%d.%b" % (timestamp, body)
    return f"t={timestamp},v1={hmac.digest(secret, signed, 'sha256').hex()}"


def check_secrets(secrets: Sequence[bytes]) -> None:
    """Refuse secrets that would let anyone sign, or that were mistyped.

    Raises:
        ValueError: there is none, or one of them is shorter than 16 bytes or has whitespace around it.
            The message gives its position in the list, never its value.
    """
    if not secrets:
        raise ValueError("no signing secret is given")
    for place, secret in enumerate(secrets, start=1):
        if secret != secret.strip():
            raise ValueError(f"signing secret {place} is blank or has whitespace around it")
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"signing secret {place} is shorter than {MIN_SECRET_BYTES} bytes")


# Secrets change only on a restart or reload. Errors are never cached, so a bad list is refused every time.
_check_once = lru_cache(maxsize=64)(check_secrets)


def _read_header(headers: Sequence[bytes]) -> _Claim:
    if len(headers) != 1:
        raise SignatureError("header_count")
    if usual := _USUAL.fullmatch(headers[0]):
        return _Claim(usual[1], (bytes.fromhex(usual[2].decode("ascii")),))
    entries = list(_entries(headers[0]))
    timestamps = [value for name, value in entries if name == b"t"]
    if len(timestamps) != 1 or not _SECONDS.fullmatch(timestamps[0]):
        raise SignatureError("timestamp_malformed")
    signatures = [value for name, value in entries if name == b"v1" and _SHA256_HEX.fullmatch(value)]
    return _Claim(timestamps[0], [bytes.fromhex(value.decode("ascii")) for value in signatures])


def _entries(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(header) > MAX_HEADER_BYTES or not _PRINTABLE.fullmatch(header):
        raise SignatureError("header_malformed")
    for entry in header.split(b","):
        name, equals, value = entry.lstrip(b" \t").partition(b"=")
        if not (name and equals):
            raise SignatureError("header_malformed")
        yield name, value


def _covers(claim: _Claim, body: bytes, keys: Sequence[bytes]) -> int:
    """Return the place of the first key, from 1, under which a digest of *claim* covers *body*, or 0."""
    signed = b"%b.%b" % (claim.timestamp, body)
    expected = [_hmac(key, signed) for key in keys]
    # A list, so that every pair is compared: the time of a refusal must not reveal which one nearly matched.
    fitting = [
        place
        for place, ours in enumerate(expected, start=1)
        for theirs in claim.digests
        if hmac.compare_digest(ours, theirs)
    ]
    return fitting[0] if fitting else 0


def _hmac(key: bytes, text: bytes) -> bytes:
    """HMAC with SHA-256, in less than half the time of `hmac.digest`, which begins with the key each time.

    Source: https://www.rfc-editor.org/rfc/rfc2104#section-2
    """
    begun_inner, begun_outer = _begin_hmac(key)
    inner, outer = begun_inner.copy(), begun_outer.copy()
    inner.update(text)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(maxsize=64)
def _begin_hmac(key: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    short = key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()
    block = short.ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
    return inner, outer


def _canonical(body: bytes) -> bytes | None:
    if len(body) > MAX_CANONICAL_BYTES or _has_more_values(body, MAX_CANONICAL_VALUES):
        return None
    try:
        return ecmajson.stringify(body, max_depth=MAX_CANONICAL_DEPTH)
    except NotJson:
        return None


def _has_more_values(body: bytes, most: int) -> bool:
    """Whether *body* may hold more than *most* values, estimated without parsing it."""
    if _separators(body) < most:
        return False  # even if none of them is in a string
    values = end = 0
    # Each string is a value or a name, so there cannot be more than these.
    for string in islice(_STRING.finditer(body), 2 * most + 1):
        values += _separators(body[end : string.start()])
        end = string.end()
        if values >= most:
            return True
    return values + _separators(body[end:]) >= most


def _separators(text: bytes) -> int:
    """Count what precedes a value: one for every value but the outermost."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")
