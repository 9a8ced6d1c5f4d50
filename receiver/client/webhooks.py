"""Receive webhooks in a program of your own: `unwrap` verifies a delivery, without an API key."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from receiver import documents
from receiver.client import parse
from receiver.client.results import WebhookEvent
from receiver.contract import SIGNATURE_HEADER
from receiver.errors import NotJson, SignatureError, SignatureFault
from receiver.signatures import verify

__all__ = ["Body", "Headers", "NotJson", "Secrets", "SignatureError", "SignatureFault", "unwrap"]

Body = bytes | bytearray | memoryview | str
"""A request's body as received, never parsed and serialised again."""
Headers = Mapping[str, Any] | Iterable[tuple[str | bytes, Any]] | str | bytes | None
"""A request's headers in the framework's form, or only the value of `X-Webhook-Signature`, if any."""
Secrets = str | bytes | Iterable[str | bytes]
"""One signing secret, or several: each is tried, so that you can rotate."""

_NAMES: Final = frozenset((SIGNATURE_HEADER.lower().encode(), b"http_x_webhook_signature"))
"""The header's name in HTTP, and in a WSGI environ (PEP 3333)."""


def unwrap(body: Body, headers: Headers, *, secrets: Secrets, now: float | None = None) -> WebhookEvent:
    """Verify a delivery and return its event. Needs neither an API key nor the network.

    Args:
        body: the request's body, exactly as received.
        headers: the request's headers, in any framework's form.
        secrets: the signing secret, or several.
        now: the time in seconds since the epoch; by default this machine's.

    Raises:
        SignatureError: not signed with any of *secrets*, or not within five minutes of now; `reason` says
            which rule failed.
        NotJson: signed, but not an event.
        ValueError: *secrets* is empty, or one is shorter than 16 bytes or has whitespace around it.
        TypeError: *body* is neither bytes nor text.
    """
    given = (secrets,) if isinstance(secrets, str | bytes) else secrets
    verified = verify(
        # Some servers leave blanks around a value, which do not belong to it: RFC 9110, section 5.5.
        [_latin1(value).strip(b" \t") for value in _signatures(headers)],
        _octets(body),
        secrets=tuple(secret.encode() if isinstance(secret, str) else secret for secret in given),
        now=time.time() if now is None else now,
    )
    try:
        return parse.event(documents.read(verified.body))
    except (ValueError, RecursionError):
        raise NotJson("a signed delivery that is not an event of the API document") from None


def _octets(body: object) -> bytes:
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    raise TypeError(f"the body must be bytes or text, exactly as received; not {type(body).__name__}")


def _signatures(headers: Headers) -> Iterator[str | bytes]:
    if headers is None:
        return
    if isinstance(headers, str | bytes):
        yield headers
        return
    # Not every framework's headers are a Mapping, but all except pairs have `items`.
    for name, value in headers.items() if hasattr(headers, "items") else headers:
        if value is not None and _latin1(name).lower() in _NAMES:
            yield from value if isinstance(value, list | tuple) else (value,)


def _latin1(text: str | bytes) -> bytes:
    # HTTP libraries decode header bytes this way; other text was never a header.
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")
