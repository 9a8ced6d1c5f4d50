"""Why a signature is refused: each cause is told by its name."""

import hmac
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pytest

from receiver.cli.diagnosis import Delivery, Diagnosis, diagnose
from receiver.signatures import sign

NOW = 1_736_424_015
SECRET = b"whsec_0123456789abcdef"
OLD, OTHER = b"whsec_old_0123456789", b"whsec_other_01234567"
BODY = b'{"event":"generation.completed"}'
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "signatures.json").read_text("utf-8"))
CASES = [case for case in VECTORS if case["expect"] != "startup_error"]
GENUINE = {"raw": "genuine", "canonical": "genuine"}


def judge(
    *headers: str,
    body: bytes = BODY,
    secrets: Sequence[bytes] = (SECRET,),
    now: float = NOW,
    mode: Literal["auto", "raw"] = "auto",
    others: Mapping[str, bytes] | None = None,
) -> Diagnosis:
    """Diagnose a delivery that is genuine but for what is given."""
    return diagnose(Delivery(headers, body, secrets, now, 300, mode, others or {}))


def signed(body: bytes = BODY, *, secret: bytes = SECRET, at: int = NOW) -> str:
    """Sign a body."""
    return sign(body, secret=secret, timestamp=at)


def said(diagnosis: Diagnosis) -> str:
    """Return all remarks."""
    return " ".join(diagnosis.remarks)


class TestDiagnose:
    def test_tells_which_secret_fits(self) -> None:
        """A genuine one, with its age."""
        found = judge(signed(secret=OLD, at=NOW - 7), secrets=(SECRET, OLD))
        assert found.genuine
        assert found.remarks == ("Signed 7 s ago (2025-01-09 12:00:08 UTC) with secret 2 of 2.",)

    def test_tells_that_only_the_stringified_form_is_signed(self) -> None:
        """Genuine as long as the mode is auto."""
        body = b'{ "event": "generation.completed" }'
        found = judge(signed(), body=body)
        assert found.genuine
        assert "JSON.stringify" in said(found)
        strict = judge(signed(), body=body, mode="raw")
        assert strict.rule == "mismatch"
        assert "re-serialised" in said(strict)
        assert "RECEIVER_SIGNATURE_MODE=auto" in said(strict)

    @pytest.mark.parametrize(
        ("ago", "remark", "clock"),
        [(412, "Signed 412 s ago", "is fast"), (-301, "Signed 301 s ahead of now", "to be slow")],
    )
    def test_tells_the_age_when_outside_the_window(self, ago: int, remark: str, clock: str) -> None:
        """With the clock to check, and whether it is genuine but for that."""
        found = judge(signed(at=NOW - ago))
        assert found.rule == "timestamp_outside_window"
        assert remark in said(found)
        assert "outside the 300 s" in said(found)
        assert clock in said(found)
        assert "Apart from the time, it is genuine" in said(found)

    def test_tells_what_else_is_wrong_when_outside_the_window(self) -> None:
        """A wrong digest, or none at all."""
        assert "another source" in said(judge(signed(secret=OTHER, at=0), others={"that": OTHER}))
        assert "has no v1" in said(judge("t=0"))

    def test_tells_the_rule(self, subtests: pytest.Subtests) -> None:
        """Each rule of a header, with what broke it."""
        for headers, rule, remark in (
            ((), "header_count", "There are 0"),
            (("t=1", "t=1"), "header_count", "There are 2"),
            (("",), "header_malformed", "empty"),
            (("rubbish",), "header_malformed", "name=value"),
            (("t=1,\udcff=2",), "header_malformed", "printable ASCII"),
            (("t=" + "1" * 3000,), "header_malformed", "3002 bytes"),
            (("v1=00",), "timestamp_malformed", "has no t="),
            (("t=1,t=2",), "timestamp_malformed", "2 times of signing"),
            (("t=soon",), "timestamp_malformed", "t=soon is not"),
            ((f"t={NOW}000",), "timestamp_malformed", f"milliseconds; it must be in seconds: t={NOW}."),
            ((f"t={NOW},v0=ab",), "no_signature", "it has t, v0"),
            ((f"t={NOW},v1=abc",), "no_signature", "3 hex digits"),
            ((f"t={NOW},v1={'='.rjust(44, 'x')}",), "no_signature", "44 characters that are not all hex"),
            ((f"t={NOW},v1={'0' * 64}",), "mismatch", "under the secret of the source"),
        ):
            with subtests.test(headers=headers):
                found = judge(*headers)
                assert (found.genuine, found.rule) == (False, rule)
                assert remark in said(found)

    def test_tells_that_another_sources_secret_fits(self) -> None:
        """The webhook went to the wrong address."""
        found = judge(signed(secret=OTHER), others={"secret 1 of the source billing": OTHER})
        assert found.rule == "mismatch"
        assert "matches with secret 1 of the source billing" in said(found)

    @pytest.mark.parametrize(
        ("sent", "kept", "remark"),
        [
            (BODY, BODY + b"\n", "without its last line break"),
            (BODY + b"\n", BODY, "with a line break at its end"),
            (b"{\n}", b"{\r\n}", "with LF for every CRLF"),
            (b"{\r\n}", b"{\n}", "with CRLF for every LF"),
            (BODY, b"\xef\xbb\xbf" + BODY, "without its byte order mark"),
        ],
    )
    def test_tells_what_an_editor_did(self, sent: bytes, kept: bytes, remark: str) -> None:
        """The body was changed after it arrived."""
        found = judge(signed(sent), body=kept, mode="raw")
        assert found.rule == "mismatch"
        assert remark in said(found)

    def test_tells_that_the_time_was_not_signed(self) -> None:
        """A digest of the body alone."""
        digest = hmac.digest(SECRET, BODY, "sha256").hex()
        assert "the body alone" in said(judge(f"t={NOW},v1={digest}"))

    def test_tells_that_a_long_body_was_not_stringified(self) -> None:
        """So that nobody trusts in it."""
        body = b"[" + b" " * 70_000 + b"]"
        assert "was not tried" in said(judge(signed(b"[]"), body=body))

    def test_never_tells_a_secret(self) -> None:
        """Nor the digest that would be right."""
        right = signed(at=NOW).partition("v1=")[2]
        for header in (signed(b"other"), "t=1", "x", signed(secret=OTHER)):
            remarks = said(judge(header, others={"that": OTHER}))
            assert right not in remarks
            assert "whsec" not in remarks

    def test_agrees_with_the_receiver(self, subtests: pytest.Subtests) -> None:
        """Every recorded delivery is judged as recorded."""
        for case in CASES:
            with subtests.test(case["id"]):
                headers = [
                    text.encode("latin-1").decode("utf-8", "surrogateescape")
                    for text in case["headers_latin1"]
                ]
                secrets = [secret.encode() for secret in case["secrets"]]
                found = judge(
                    *headers, body=case["body_latin1"].encode("latin-1"), secrets=secrets, now=case["now"]
                )
                assert (found.rule or "genuine") == GENUINE.get(case["expect"], case["expect"])
