"""Webhook deliveries: from the bytes that arrived to a verified event."""

from collections.abc import Iterable, Mapping, Sequence

from receiver import documents
from receiver.client import parse
from receiver.client.results import WebhookEvent
from receiver.contract import SIGNATURE_HEADER
from receiver.errors import NotJson
from receiver.signatures import verify

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


def unwrap(body: bytes, headers: Headers, *, secrets: Sequence[str | bytes], now: float) -> WebhookEvent:
    """Verify a delivery and return its event.

    Raises:
        SignatureError: the delivery is not genuine; `reason` says why.
        NotJson: genuine, but not an event.
        ValueError: *secrets* is empty, or holds one that is too short to trust.
    """
    keys = tuple(secret.encode() if isinstance(secret, str) else secret for secret in secrets)
    verified = verify(_signatures(headers), body, secrets=keys, now=now)
    try:
        return parse.event(documents.read(verified.body))
    except (ValueError, RecursionError):
        raise NotJson("a signed delivery that is not an event of the API document") from None


def _signatures(headers: Headers) -> list[bytes]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    # latin-1 is how HTTP libraries turn header bytes into text; anything it cannot hold was never a header.
    return [
        value.encode("latin-1", "replace")
        for name, value in pairs
        if name.lower() == SIGNATURE_HEADER.lower()
    ]
