"""The forms of a webhook, and what each signature covers."""

import json

import pytest

from receiver.contract import SIGNATURE_HEADER
from receiver.sandbox import letters
from receiver.signatures import verify

SECRET = "whsec_letters_0123456789"
FORMER = "whsec_former_0123456789"
PAYLOAD = {"prompt": "é\u2028日\ud800", "seconds": 5}


def signature(form: letters.SignatureForm) -> str:
    made = letters.headers(PAYLOAD, secret=SECRET, former=FORMER, timestamp=1_736_424_000, form=form)
    assert made["Content-Type"] == "application/json"
    return made[SIGNATURE_HEADER]


class TestBody:
    def test_compact_is_what_json_stringify_prints(self) -> None:
        """No blanks, letters raw, lone surrogates escaped."""
        body = letters.body(PAYLOAD)
        assert body == '{"prompt":"é\u2028日\\ud800","seconds":5}'.encode()

    @pytest.mark.parametrize("form", ["compact", "pretty", "escaped"])
    def test_every_form_means_the_same(self, form: letters.BodyForm) -> None:
        """Only the bytes differ."""
        assert json.loads(letters.body(PAYLOAD, form)) == PAYLOAD

    def test_forms_differ(self) -> None:
        """One has line breaks, one has only ASCII."""
        assert b"\n" in letters.body(PAYLOAD, "pretty")
        assert letters.body(PAYLOAD, "escaped").isascii()


class TestHeaders:
    @pytest.mark.parametrize(
        ("signed", "form", "via"),
        [("one", "compact", "raw"), ("two", "pretty", "canonical"), ("reversed", "escaped", "canonical")],
    )
    def test_signature_covers_what_json_stringify_prints(
        self, signed: letters.SignatureForm, form: letters.BodyForm, via: str
    ) -> None:
        """Whatever the form of the body: the document signs the payload, not the bytes."""
        header, body = signature(signed).encode(), letters.body(PAYLOAD, form)
        assert verify([header], body, secrets=[SECRET.encode()], now=1_736_424_000).via == via

    def test_forms(self) -> None:
        """Plain, with the signature of a former secret first, and turned round."""
        assert signature("one").startswith("t=1736424000,v1=")
        assert signature("two").count("v1=") == 2
        assert signature("two").endswith(signature("one").partition(",")[2])
        assert signature("reversed").endswith(",t=1736424000")
