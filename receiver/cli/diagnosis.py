"""Why a signature is refused, in words: the rules are those of `receiver.signatures`."""

import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from receiver.errors import SignatureError
from receiver.signatures import MAX_CANONICAL_BYTES, MAX_HEADER_BYTES, Verified, verify

_ANY_TIME: Final = 10**11
"""A tolerance that covers every ten-digit timestamp."""
_MILLISECONDS_DIGITS: Final = 13


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery to judge, and the settings to use."""

    headers: Sequence[str]
    body: bytes
    secrets: Sequence[bytes]
    """The source's own, newest first."""
    now: float
    tolerance_s: int
    mode: Literal["auto", "raw"]
    others: Mapping[str, bytes]
    """The secrets of other sources, by name."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The verdict: the failed rule, if any, and helpful remarks."""

    rule: str | None
    """A `reason` of `receiver.errors.SignatureError`; None if the delivery is genuine."""
    remarks: tuple[str, ...]

    @property
    def genuine(self) -> bool:
        """Whether the receiver accepts it."""
        return self.rule is None


def diagnose(delivery: Delivery) -> Diagnosis:
    """Judge *delivery* as the receiver does, and say why."""
    try:
        verified = _verify(delivery)
    except SignatureError as error:
        return Diagnosis(error.reason, tuple(_REMARKS[error.reason](delivery)))
    return Diagnosis(None, tuple(_on_genuine(delivery, verified)))


def _verify(
    delivery: Delivery,
    *,
    body: bytes | None = None,
    secrets: Sequence[bytes] | None = None,
    mode: Literal["auto", "raw"] | None = None,
    any_time: bool = False,
) -> Verified:
    return verify(
        [header.encode("utf-8", "surrogateescape") for header in delivery.headers],
        delivery.body if body is None else body,
        secrets=delivery.secrets if secrets is None else secrets,
        now=delivery.now,
        tolerance_s=_ANY_TIME if any_time else delivery.tolerance_s,
        mode=mode or delivery.mode,
    )


def _covered(
    delivery: Delivery,
    *,
    body: bytes | None = None,
    secrets: Sequence[bytes] | None = None,
    mode: Literal["auto", "raw"] | None = None,
) -> bool:
    """Whether the digest would match this way, ignoring the time."""
    try:
        _verify(delivery, body=body, secrets=secrets, mode=mode, any_time=True)
    except SignatureError:
        return False
    return True


def _on_genuine(delivery: Delivery, verified: Verified) -> Iterator[str]:
    place = next(
        place
        for place, secret in enumerate(delivery.secrets, start=1)
        if _covered(delivery, secrets=[secret])
    )
    yield f"Signed {_age(delivery, verified.timestamp)} with secret {place} of {len(delivery.secrets)}."
    if verified.via == "canonical":
        yield (
            "The digest covers JSON.stringify of the body, not the bytes as received: the sender signed that"
            " form, or something re-serialised the body on the way. RECEIVER_SIGNATURE_MODE=raw refuses it."
        )


def _on_header_count(delivery: Delivery) -> Iterator[str]:
    yield f"There are {len(delivery.headers)} signature headers; there must be exactly one."
    yield "Look for a proxy that adds or repeats headers."


def _on_header_malformed(delivery: Delivery) -> Iterator[str]:
    (header,) = delivery.headers
    if len(header) > MAX_HEADER_BYTES:
        yield f"The header is {len(header)} bytes long; at most {MAX_HEADER_BYTES} are read."
        return
    if not header.strip():
        yield "The header is empty."
        return
    yield "The header is not a list of name=value entries separated by commas, in printable ASCII."
    yield "It must look like t=1736424015,v1=<64 hex digits>: copy the whole value, without quotes."


def _on_timestamp_malformed(delivery: Delivery) -> Iterator[str]:
    times = [entry[2:] for entry in _entries(delivery) if entry.startswith("t=")]
    if not times:
        yield "The header has no t=…, the time of signing."
    elif len(times) > 1:
        yield f"The header has {len(times)} times of signing (t=…); there must be exactly one."
    elif len(times[0]) == _MILLISECONDS_DIGITS and times[0].isdigit():
        yield f"t={times[0]} is in milliseconds; it must be in seconds: t={times[0][:-3]}."
    else:
        yield f"t={times[0]} is not a plain number of seconds since 1970."


def _on_timestamp_outside_window(delivery: Delivery) -> Iterator[str]:
    timestamp = next(int(entry[2:]) for entry in _entries(delivery) if entry.startswith("t="))
    yield f"Signed {_age(delivery, timestamp)}, outside the {delivery.tolerance_s} s that are allowed."
    if delivery.now > timestamp:
        yield "A late repeat, or a replay; or this machine's clock is fast. For an old capture, give --at."
    else:
        yield "Is this machine's clock right? It seems to be slow."
    yield from _on_digest(delivery)


def _on_digest(delivery: Delivery) -> Iterator[str]:
    try:
        _verify(delivery, any_time=True)
    except SignatureError as error:
        yield "The digest does not match either."
        yield from _REMARKS[error.reason](delivery)
    else:
        yield "Apart from the time, it is genuine: the digest matches."


def _on_no_signature(delivery: Delivery) -> Iterator[str]:
    values = [entry[3:] for entry in _entries(delivery) if entry.startswith("v1=")]
    if not values:
        names = ", ".join(sorted({entry.partition("=")[0] for entry in _entries(delivery)}))
        yield f"The header has no v1=…, the digest; it has {names}."
        return
    value = values[0]
    kind = "hex digits" if re.fullmatch("[0-9A-Fa-f]*", value) else "characters that are not all hex digits"
    yield f"No v1 is a digest: SHA-256 has 64 hex digits, this one {len(value)} {kind}."


def _on_mismatch(delivery: Delivery) -> Iterator[str]:
    found = list(_near_misses(delivery))
    yield from found
    if not found:
        count = len(delivery.secrets)
        yield (
            f"No v1 covers this body under any of the {count} secrets of the source."
            if count > 1
            else "No v1 covers this body under the secret of the source."
        )
        yield "Is this the secret of this webhook, and is the body exactly as received?"


def _near_misses(delivery: Delivery) -> Iterator[str]:
    for name, secret in delivery.others.items():
        if _covered(delivery, secrets=[secret]):
            yield f"The digest matches with {name}: the webhook was sent to another source's address."
    if _covered(delivery, mode="auto"):
        yield (
            "The digest matches only JSON.stringify of the body: the sender signed that form, or something"
            " re-serialised the body on the way. RECEIVER_SIGNATURE_MODE=auto accepts it."
        )
    for change, body in _common_changes(delivery.body):
        if _covered(delivery, body=body, mode="raw"):
            yield f"The digest matches the body {change}: keep the body byte for byte as it arrived."
    if _covers_bare_body(delivery):
        yield "The digest covers the body alone: it must cover <t>.<body>, with the time of signing."
    if len(delivery.body) > MAX_CANONICAL_BYTES and delivery.mode == "auto":
        yield f"The body is longer than {MAX_CANONICAL_BYTES} bytes, so JSON.stringify of it was not tried."


def _common_changes(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the body with typical changes by editors and shells undone."""
    if body.endswith((b"\n", b"\r")):
        yield "without its last line break", body.rstrip(b"\r\n")
    yield "with a line break at its end", body + b"\n"
    if b"\r\n" in body:
        yield "with LF for every CRLF", body.replace(b"\r\n", b"\n")
    elif b"\n" in body:
        yield "with CRLF for every LF", body.replace(b"\n", b"\r\n")
    if body.startswith(b"\xef\xbb\xbf"):
        yield "without its byte order mark", body[3:]


def _covers_bare_body(delivery: Delivery) -> bool:
    digests = {entry[3:].lower() for entry in _entries(delivery) if entry.startswith("v1=")}
    return any(hmac.digest(secret, delivery.body, "sha256").hex() in digests for secret in delivery.secrets)


def _entries(delivery: Delivery) -> list[str]:
    return [entry.lstrip(" \t") for entry in delivery.headers[0].split(",")]


def _age(delivery: Delivery, timestamp: int) -> str:
    seconds = delivery.now - timestamp
    at = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{seconds:.0f} s ago ({at})" if seconds >= 0 else f"{-seconds:.0f} s ahead of now ({at})"


_REMARKS: Final = {
    "header_count": _on_header_count,
    "header_malformed": _on_header_malformed,
    "timestamp_malformed": _on_timestamp_malformed,
    "timestamp_outside_window": _on_timestamp_outside_window,
    "no_signature": _on_no_signature,
    "mismatch": _on_mismatch,
}
