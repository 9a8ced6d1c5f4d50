"""From the bytes of a delivery to a verified event."""

import email
import json
import time
from typing import Any

import pytest

from receiver.client.webhooks import unwrap
from receiver.errors import NotJson, SignatureError
from receiver.signatures import sign

NOW = 1_736_424_015
SECRETS = ["whsec_test_0123456789", "whsec_older_0123456789"]
BODY = json.dumps({"event": "generation.completed", "data": {"id": "gen_1", "status": "completed"}}).encode()


def signed(body: bytes = BODY, *, secret: str = SECRETS[0], at: int = NOW) -> dict[str, str]:
    return {"X-Webhook-Signature": sign(body, secret=secret.encode(), timestamp=at), "Host": "x"}


class TestUnwrap:
    @pytest.mark.parametrize("secret", SECRETS)
    def test_accepts_each_secret(self, secret: str) -> None:
        """While one replaces the other, both are good."""
        event = unwrap(BODY, signed(secret=secret), secrets=SECRETS, now=NOW)
        assert (event.event, event.generation.id) == ("generation.completed", "gen_1")

    @pytest.mark.parametrize("shape", [lambda h: h, lambda h: list(h.items())])
    @pytest.mark.parametrize("name", [str.lower, str.upper, str])
    def test_takes_any_frameworks_headers(self, shape: Any, name: Any) -> None:
        """A mapping or pairs, in any case."""
        headers = shape({name(key): value for key, value in signed().items()})
        assert unwrap(BODY, headers, secrets=[s.encode() for s in SECRETS], now=NOW).generation.id == "gen_1"

    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ({}, "header_count"),
            ({"X-Webhook-Signature": None}, "header_count"),
            (list(signed().items()) * 2, "header_count"),
            ({"X-Webhook-Signature": "☃"}, "no_signature"),
            (signed(secret="another_secret_123"), "mismatch"),
            (signed(BODY + b" "), "mismatch"),
            (signed(at=NOW - 301), "timestamp_outside_window"),
        ],
    )
    def test_refuses_what_is_not_genuine(self, headers: Any, reason: str) -> None:
        """The reason is told, and nothing else."""
        with pytest.raises(SignatureError) as refused:
            unwrap(BODY, headers, secrets=SECRETS, now=NOW)
        assert refused.value.reason in {reason, "header_malformed", "timestamp_malformed"}

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"event": "x"}', b"\xff", b"not json"])
    def test_refuses_what_is_signed_but_no_event(self, body: bytes) -> None:
        """Genuine, yet not what the document describes."""
        with pytest.raises(NotJson):
            unwrap(body, signed(body), secrets=SECRETS, now=NOW)

    @pytest.mark.parametrize(
        ("body", "secrets"),
        [
            (bytes, SECRETS[0]),
            (bytearray, SECRETS[0].encode()),
            (memoryview, tuple(SECRETS)),
            (bytes.decode, set(SECRETS)),
        ],
    )
    def test_takes_text_and_bytes(self, body: Any, secrets: Any) -> None:
        """Of the body and of the secret, alone or among others."""
        event = unwrap(body(BODY), signed(), secrets=secrets, now=NOW)
        assert event.generation.id == "gen_1"

    @pytest.mark.parametrize(
        "form",
        [
            lambda h: h["X-Webhook-Signature"],
            lambda h: h["X-Webhook-Signature"].encode(),
            lambda h: [(name.lower().encode(), value.encode()) for name, value in h.items()],
            lambda h: {name: [value] for name, value in h.items()},
            lambda h: {"HTTP_" + name.upper().replace("-", "_"): value for name, value in h.items()},
            lambda h: {name: f" {value}\t" for name, value in h.items()},
            lambda h: email.message_from_string("".join(f"{n}: {v}\n" for n, v in h.items())),
        ],
    )
    def test_takes_headers_as_they_come(self, form: Any) -> None:
        """The value alone, ASGI's pairs, lists of values, the standard library's message."""
        assert unwrap(BODY, form(signed()), secrets=SECRETS, now=NOW).generation.id == "gen_1"

    @pytest.mark.parametrize("body", [json.loads(BODY), None, 7])
    def test_a_body_that_is_not_what_came(self, body: Any) -> None:
        """What was parsed already is refused in words that say so."""
        with pytest.raises(TypeError, match="exactly as received"):
            unwrap(body, signed(), secrets=SECRETS, now=NOW)

    def test_no_header_at_all(self) -> None:
        """As `headers.get` says it."""
        with pytest.raises(SignatureError) as refused:
            unwrap(BODY, None, secrets=SECRETS, now=NOW)
        assert refused.value.reason == "header_count"

    def test_text_that_utf8_cannot_hold(self) -> None:
        """It was never signed."""
        with pytest.raises(SignatureError, match="mismatch"):
            unwrap("\ud83d", signed(), secrets=SECRETS, now=NOW)

    def test_by_this_machines_clock(self) -> None:
        """Unless another time is given."""
        assert unwrap(BODY, signed(at=int(time.time())), secrets=SECRETS).event == "generation.completed"
        with pytest.raises(SignatureError, match="window"):
            unwrap(BODY, signed(), secrets=SECRETS)

    @pytest.mark.parametrize("odd", [b"1e400", b"NaN", b"9" * 5000, b"[" * 5000 + b"]" * 5000])
    def test_what_nobody_needs_hides_no_event(self, odd: bytes) -> None:
        """As in the receiver."""
        body = BODY[:-1] + b',"x":' + odd + b"}"
        assert unwrap(body, signed(body), secrets=SECRETS, now=NOW).generation.id == "gen_1"

    @pytest.mark.parametrize("secrets", [[], [""], ["short"], "", b"short"])
    def test_refuses_weak_secrets(self, secrets: Any) -> None:
        """An empty secret would let anyone sign."""
        with pytest.raises(ValueError, match="secret"):
            unwrap(BODY, signed(), secrets=secrets, now=NOW)
