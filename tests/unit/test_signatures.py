"""Deliveries are believed only if somebody who knows a secret signed them, just now."""

import hmac
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver import ecmajson
from receiver.errors import SignatureFault
from receiver.signatures import SignatureError, Verified, check_secrets, sign, verify

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "signatures.json").read_text("utf-8"))
SECRET = b"whsec_test_0123456789abcdef"
OLDER = b"whsec_older_0123456789abcde"
NOW = 1704801600
BODY = b'{"event":"generation.completed","data":{"id":"gen_1"}}'
SPACED = b'{"event": "generation.completed", "data": {"id": "gen_1"}}'
GOOD = hmac.digest(SECRET, b"%d.%b" % (NOW, BODY), "sha256").hex()
ZEROES = "0" * 64
NOT_SECONDS = [
    *[
        "",
        "now",
        "NaN",
        "-1",
        "+1704801600",
        "01704801600",
        "00",
        "1704801600.0",
        "1_704_801_600",
        "0x659d3380",
    ],
    *["1704801600000", " 1704801600", "1704801600 ", "1704801600=", "1.7e9", "9" * 400],
]
NOT_SIGNATURES = [
    *["", ",v1=", f",v1={GOOD[:63]}", f",v1={GOOD}0", f",v1={GOOD}=", f",v1={GOOD} ", f",v1= {GOOD}"],
    *[f",v1=0x{GOOD}", f",v1={GOOD[:32]} {GOOD[32:]}", ",v1=" + "g" * 64],
    *[f",V1={GOOD}", f",v0={GOOD}", f",v11={GOOD}", f",v1 ={GOOD}"],
]
HEADER_PIECES = [b"t=1704801600", b"t=", b",", b"=", b" ", b"v1=", b"v0=", ZEROES.encode(), b"7", b"\xff"]


def outcome(*headers: str | bytes, body: bytes = BODY, now: float = NOW, **options: Any) -> str:
    """Return how the delivery verified, or the reason why it did not."""
    values = [header.encode("latin-1") if isinstance(header, str) else header for header in headers]
    try:
        return verify(values, body, secrets=options.pop("secrets", [SECRET]), now=now, **options).via
    except SignatureError as error:
        return error.reason


def signed(body: bytes, *, timestamp: int = NOW, secret: bytes = SECRET) -> str:
    return sign(body, secret=secret, timestamp=timestamp)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """Record every pair that is compared."""
    pairs: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def recording(a: bytes, b: bytes) -> bool:
        pairs.append((a, b))
        return compare(a, b)

    monkeypatch.setattr(hmac, "compare_digest", recording)
    return pairs


class TestVerify:
    def test_recorded(self, subtests: pytest.Subtests) -> None:
        """Every recorded delivery ends as recorded."""
        for case in VECTORS:
            with subtests.test(case["id"]):
                secrets = [secret.encode() for secret in case["secrets"]]
                body = case["body_latin1"].encode("latin-1")
                if case["expect"] == "startup_error":
                    with pytest.raises(ValueError, match="signing secret"):
                        outcome(*case["headers_latin1"], body=body, now=case["now"], secrets=secrets)
                else:
                    assert (
                        outcome(*case["headers_latin1"], body=body, now=case["now"], secrets=secrets)
                        == case["expect"]
                    )

    def test_result(self) -> None:
        """The result carries the bytes that were signed, which the received ones need not be."""
        headers = [signed(BODY).encode()]
        assert verify(headers, BODY, secrets=[SECRET], now=NOW) == Verified("raw", BODY, NOW, 1)
        assert verify(headers, SPACED, secrets=[SECRET], now=NOW) == Verified("canonical", BODY, NOW, 1)

    @pytest.mark.parametrize("body", [BODY, SPACED])
    @pytest.mark.parametrize(
        ("secrets", "place"),
        [((SECRET,), 1), ((OLDER,), 2), ((OLDER, SECRET), 1), ((b"whsec_of_someone_else", OLDER), 2)],
    )
    def test_which_secret(self, body: bytes, secrets: tuple[bytes, ...], place: int) -> None:
        """It is the one signed with; of several that the sender signed with, the newest of ours."""
        digests = [hmac.digest(secret, b"%d.%b" % (NOW, BODY), "sha256").hex() for secret in secrets]
        header = ",".join([f"t={NOW}", *(f"v1={digest}" for digest in digests)]).encode()
        assert verify([header], body, secrets=[SECRET, OLDER], now=NOW).secret == place

    @pytest.mark.parametrize("headers", [[], [signed(BODY)] * 2, [signed(BODY)] * 3])
    def test_header_count(self, headers: list[str]) -> None:
        """None is not enough, and several are ambiguous even if equal."""
        assert outcome(*headers) == "header_count"

    def test_header_malformed(self, subtests: pytest.Subtests) -> None:
        """A header that is not a short list of `name=value` is refused whole."""
        for header in [
            "",
            " ",
            ",",
            "no signature",
            f"{signed(BODY)},",
            f",{signed(BODY)}",
            f"t={NOW},v1",
            f"t={NOW},=x,v1={GOOD}",
            f"{signed(BODY)}\n",
            f"{signed(BODY)}\0",
            f"{signed(BODY)},x=é",
            f"{signed(BODY)},x={'x' * 2048}",
            f"t={NOW}" + f",v1={ZEROES}" * 100_000,
        ]:
            with subtests.test(header=header[:40]):
                assert outcome(header) == "header_malformed"
        assert outcome(b"\xff\xfe") == "header_malformed"

    @pytest.mark.parametrize(
        "header", [f"t={NOW}, v1={GOOD}", f"v1={GOOD},t={NOW}", f" t={NOW},\t  v1={GOOD.upper()}"]
    )
    def test_layout(self, header: str) -> None:
        """Order, case of the hex digits and blanks before an entry do not matter."""
        assert outcome(header) == "raw"

    def test_longest_header(self) -> None:
        """2048 bytes are read, and no more."""
        header = signed(BODY) + ",x="
        assert outcome(header.ljust(2048, "x")) == "raw"
        assert outcome(header.ljust(2049, "x")) == "header_malformed"

    def test_timestamp_malformed(self, subtests: pytest.Subtests) -> None:
        """Only plain decimal seconds are a time, even if somebody signed the text."""
        for t in NOT_SECONDS:
            with subtests.test(t=t):
                digest = hmac.digest(SECRET, t.encode() + b"." + BODY, "sha256").hex()
                assert outcome(f"t={t},v1={digest}") == "timestamp_malformed"

    @pytest.mark.parametrize(
        "times", ["", "T={now},", "t={now},t={now},", "t={now},t=1,", "t=1,t={now},", "t =1,"]
    )
    def test_one_timestamp(self, times: str) -> None:
        """There is exactly one `t`, spelt so."""
        assert outcome(f"{times.format(now=NOW)}v1={GOOD}") == "timestamp_malformed"

    @pytest.mark.parametrize("age_s", [-300, -299.5, 0, 299.5, 300])
    def test_inside_window(self, age_s: float) -> None:
        """Five minutes either way are genuine, edges included."""
        assert outcome(signed(BODY), now=NOW + age_s) == "raw"

    def test_outside_window(self, subtests: pytest.Subtests) -> None:
        """Earlier or later than that is refused, although the signature is good."""
        for age_s in (-301, -300.5, 300.5, 301, 1e9, -1e9, float("inf"), float("nan")):
            with subtests.test(age_s=age_s):
                assert outcome(signed(BODY), now=NOW + age_s) == "timestamp_outside_window"

    def test_tolerance(self) -> None:
        """The window is as wide as asked."""
        assert outcome(signed(BODY), now=NOW + 10, tolerance_s=10) == "raw"
        assert outcome(signed(BODY), now=NOW + 11, tolerance_s=10) == "timestamp_outside_window"
        assert outcome("t=0,v1=" + ZEROES) == "timestamp_outside_window"

    def test_no_signature(self, subtests: pytest.Subtests) -> None:
        """Only 64 hex digits under the name `v1` are a signature."""
        for entries in NOT_SIGNATURES:
            with subtests.test(entries=entries):
                assert outcome(f"t={NOW}{entries}") == "no_signature"

    def test_several_signatures(self) -> None:
        """One that fits is enough, wherever it stands; none that fits is not."""
        assert outcome(f"t={NOW},v1={ZEROES},v1=short,v1={GOOD},v0={ZEROES}") == "raw"
        assert outcome(f"t={NOW},v1={ZEROES},v1={'f' * 64}") == "mismatch"

    def test_rotation(self) -> None:
        """Any of several secrets may have signed, in any order, and no other."""
        assert outcome(signed(BODY, secret=OLDER), secrets=[SECRET, OLDER]) == "raw"
        assert outcome(signed(SPACED, secret=OLDER), secrets=[OLDER, SECRET], body=SPACED) == "raw"
        assert outcome(signed(BODY, secret=OLDER), secrets=[SECRET]) == "mismatch"

    @pytest.mark.parametrize(
        "secrets", [[], [b""], [SECRET, b""], [b" " * 20], [b"whsec_"], [SECRET + b"\n"]]
    )
    def test_bad_secrets(self, secrets: list[bytes]) -> None:
        """Secrets that would let anyone in are refused every time, even with a signature that fits."""
        for _ in range(2):
            with pytest.raises(ValueError, match="signing secret"):
                outcome(signed(BODY, secret=b""), secrets=secrets)

    @pytest.mark.parametrize("body", [BODY + b" ", BODY[:-1], BODY.replace(b"gen_1", b"gen_2"), b""])
    def test_changed_body(self, body: bytes) -> None:
        """In raw mode one byte more, less or other is another body."""
        assert outcome(signed(BODY), body=body, mode="raw") == "mismatch"

    def test_raw_mode(self) -> None:
        """The canonical form is not tried when only raw is asked for."""
        assert outcome(signed(BODY), body=SPACED) == "canonical"
        assert outcome(signed(BODY), body=SPACED, mode="raw") == "mismatch"

    def test_raw_first(self) -> None:
        """A body signed as sent is raw, whatever `JSON.stringify` would make of it."""
        assert outcome(signed(SPACED), body=SPACED) == "raw"

    @pytest.mark.parametrize(("over", "expected"), [(0, "canonical"), (1, "mismatch")])
    def test_canonical_size(self, over: int, expected: str) -> None:
        """The canonical form is tried up to 64 KiB."""
        assert outcome(signed(BODY), body=BODY.ljust(64 * 1024 + over)) == expected

    @pytest.mark.parametrize(("depth", "expected"), [(64, "canonical"), (65, "mismatch")])
    def test_canonical_depth(self, depth: int, expected: str) -> None:
        """The canonical form is tried up to 64 levels."""
        body = b"[" * depth + b"]" * depth
        assert outcome(signed(body), body=b" " + body) == expected

    @pytest.mark.parametrize(("values", "expected"), [(512, "canonical"), (513, "mismatch")])
    @pytest.mark.parametrize("value", [b"0", b"[]", b"{}", b'""', b'"a,[{"'])
    def test_canonical_values(self, value: bytes, values: int, expected: str) -> None:
        """The canonical form is tried for 512 values; what stands in a string is none."""
        body = b"[" + b",".join([value] * (values - 1)) + b"]"
        if value in (b"[]", b"{}"):
            body = b"[" + b",".join([value] * ((values - 1) // 2)) + b",0" * ((values - 1) % 2) + b"]"
        assert outcome(signed(body), body=b" " + body) == expected

    def test_canonical_long_text(self) -> None:
        """A prompt may hold any number of commas and brackets."""
        body = b'{"prompt":"' + b'a,[{\\"' * 5000 + b'"}'
        assert outcome(signed(body), body=b" " + body) == "canonical"

    @pytest.mark.parametrize(
        ("header", "options"),
        [
            (signed(BODY), {}),
            (signed(BODY), {"now": NOW + 301}),
            (signed(SPACED), {"mode": "raw"}),
            (f"t={NOW},v1=", {"body": SPACED}),
            (signed(BODY), {"body": BODY.ljust(65537)}),
        ],
        ids=["raw fits", "stale", "raw only", "no signature", "too large"],
    )
    def test_no_work_for_strangers(
        self, header: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The costly canonical form is not computed when it cannot matter."""
        monkeypatch.setattr(ecmajson, "stringify", lambda *_args, **_options: pytest.fail("computed"))
        assert outcome(header, **options) != "canonical"

    def test_compares_everything(self, compared: list[tuple[bytes, bytes]]) -> None:
        """Every digest is compared with every secret's, in constant time, even after one fitted."""
        assert outcome(f"t={NOW},v1={GOOD},v1=bad,v1={ZEROES},v1={GOOD}", secrets=[SECRET, OLDER]) == "raw"
        assert len(compared) == 2 * 3
        assert {(type(value), len(value)) for pair in compared for value in pair} == {(bytes, 32)}

    def test_compares_both_forms(self, compared: list[tuple[bytes, bytes]]) -> None:
        """A refusal has compared the raw and the canonical form."""
        assert outcome(f"t={NOW},v1={ZEROES},v1={ZEROES}", body=SPACED, secrets=[SECRET, OLDER]) == "mismatch"
        assert len(compared) == 2 * 2 * 2

    @pytest.mark.parametrize(
        "header", ["", "t=x", f"t={NOW}", f"t={NOW - 999},v1={GOOD}", f"t={NOW},v1={ZEROES}"]
    )
    def test_tells_nothing(self, header: str) -> None:
        """A refusal, printed with its causes, shows no secret, signature or body."""
        with pytest.raises(SignatureError) as caught:
            verify([header.encode()], SPACED, secrets=[SECRET], now=NOW)
        assert str(caught.value) == caught.value.reason
        assert caught.value.__cause__ is None
        assert "gen_1" not in repr(verify([signed(BODY).encode()], BODY, secrets=[SECRET], now=NOW))

    @given(
        st.lists(st.binary() | st.lists(st.sampled_from(HEADER_PIECES)).map(b"".join), max_size=2),
        st.binary() | st.just(SPACED),
        st.sampled_from(["auto", "raw"]),
    )
    def test_any_bytes(self, headers: list[bytes], body: bytes, mode: str) -> None:
        """Whatever arrives from somebody without the secret is refused, with a reason."""
        assert outcome(*headers, body=body, mode=mode) in get_args(SignatureFault)

    @given(st.binary(), st.integers(0, 2**33), st.binary(min_size=16).filter(lambda s: s == s.strip()))
    def test_what_is_signed_verifies(self, body: bytes, timestamp: int, secret: bytes) -> None:
        """Any body, time and acceptable secret go round, and the received bytes are the verified ones."""
        header = sign(body, secret=secret, timestamp=timestamp).encode()
        assert verify([header], body, secrets=[secret], now=timestamp) == Verified("raw", body, timestamp, 1)

    @pytest.mark.parametrize("size", [64, 65])
    def test_secrets_of_any_length(self, size: int) -> None:
        """Longer ones than a block of SHA-256, 64 bytes, are hashed first: RFC 2104, section 2."""
        assert outcome(signed(BODY, secret=b"k" * size), secrets=[b"k" * size]) == "raw"


class TestSign:
    def test_form(self) -> None:
        """The header is the documented one: the time, and the hex digest over `time.body`."""
        assert sign(BODY, secret=SECRET, timestamp=NOW) == f"t={NOW},v1={GOOD}"

    def test_exact_bytes(self) -> None:
        """The bytes given are signed, JSON or not, and never another form of them."""
        assert outcome(signed(b"\xff {} "), body=b"\xff {} ", mode="raw") == "raw"


class TestCheckSecrets:
    @pytest.mark.parametrize(
        "secrets", [[SECRET], [SECRET, OLDER], [b"0123456789abcdef"], ["ключ от двери".encode()]]
    )
    def test_accepts(self, secrets: list[bytes]) -> None:
        """Sixteen bytes of anything are a secret."""
        check_secrets(secrets)

    @pytest.mark.parametrize(
        ("secrets", "message"),
        [
            ([], "no signing secret"),
            ([b""], "signing secret 1 is shorter than 16 bytes"),
            ([SECRET, b""], "signing secret 2 is shorter"),
            ([b"0123456789abcde"], "signing secret 1 is shorter"),
            ([b"\t" * 16], "signing secret 1 is blank"),
            ([SECRET, b" " + SECRET], "signing secret 2 is blank or has whitespace"),
            ([SECRET + b"\r\n"], "signing secret 1 is blank or has whitespace"),
        ],
    )
    def test_refuses(self, secrets: list[bytes], message: str) -> None:
        """What is missing, short, blank or mistyped is named by its place, never by its value."""
        with pytest.raises(ValueError, match=re.escape(message)) as caught:
            check_secrets(secrets)
        assert "0123456789" not in str(caught.value)
