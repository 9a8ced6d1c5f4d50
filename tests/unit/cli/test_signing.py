"""`receiver verify` and `receiver sign`: what one signs, the other accepts, and so does the receiver."""

import shlex
import time
from pathlib import Path

import pytest

from receiver.signatures import sign as signed
from tests.unit.cli.running import Ended, Run

SECRET = "whsec_0123456789abcdef"
OTHER = "whsec_other_01234567"
BODY = '{"event":"generation.completed"}'
NOW = 1_736_424_015
SECRETS = {"RECEIVER_WEBHOOK_SECRETS": SECRET}


def header(body: str = BODY, *, secret: str = SECRET, at: int = NOW) -> str:
    """Sign a body."""
    return signed(body.encode(), secret=secret.encode(), timestamp=at)


def judged(run: Run, value: str, *options: str, body: str = BODY, **settings: str) -> Ended:
    """Verify a body on standard input."""
    return run("verify", "--header", value, *options, stdin=body, **{**SECRETS, **settings})


class TestVerify:
    def test_exits_0_for_a_genuine_one(self, run: Run) -> None:
        """By the present time, unless another is given."""
        assert judged(run, header(at=int(time.time()))).status == 0
        ended = judged(run, header(), "--at", "2025-01-09T12:00:20Z")
        assert ended.status == 0
        assert ended.out.startswith("genuine\n  Signed 5 s ago")

    def test_exits_1_for_another(self, run: Run) -> None:
        """With the rule, and why."""
        ended = judged(run, header(), "--at", str(NOW + 412))
        assert ended.status == 1
        assert ended.out.startswith("not genuine: timestamp_outside_window\n  Signed 412 s ago")

    def test_takes_another_tolerance(self, run: Run) -> None:
        """For an old capture."""
        assert judged(run, header(), "--at", str(NOW + 412), "--tolerance", "412").status == 0
        assert judged(run, header(), "--at", str(NOW + 412), "--tolerance", "411").status == 1

    def test_prints_an_object(self, run: Run) -> None:
        """For programs."""
        found = judged(run, header("other"), "--at", str(NOW), "--json").object
        assert (found["genuine"], found["rule"]) == (False, "mismatch")
        assert found["remarks"]

    def test_reads_a_file(self, run: Run, tmp_path: Path) -> None:
        """Byte for byte."""
        (tmp_path / "body").write_bytes(b"\xff\r\n")
        value = signed(b"\xff\r\n", secret=SECRET.encode(), timestamp=NOW)
        ended = run("verify", "--header", value, "--file", "body", "--at", str(NOW), **SECRETS)
        assert ended.status == 0

    def test_takes_a_header_with_its_name(self, run: Run) -> None:
        """As it is copied from a log."""
        assert judged(run, f"x-webhook-signature: {header()}", "--at", str(NOW)).status == 0

    def test_takes_blanks_around_a_value(self, run: Run) -> None:
        """The listener drops them, too: they are no part of it (RFC 9110, section 5.5)."""
        assert judged(run, f" {header()}\t", "--at", str(NOW)).status == 0

    def test_tells_of_two_headers(self, run: Run) -> None:
        """A receiver takes only one."""
        ended = judged(run, header(), "--header", header(), "--at", str(NOW))
        assert ended.status == 1
        assert "header_count" in ended.out

    def test_tells_another_sources_secret(self, run: Run) -> None:
        """By the name of that source; which is judged by its own when it is chosen."""
        others = {"RECEIVER_SOURCES__BILLING__SECRETS": OTHER}
        value = header(secret=OTHER)
        ended = judged(run, value, "--at", str(NOW), **others)
        assert ended.status == 1
        assert "secret 1 of the source billing" in ended.out
        assert judged(run, value, "--at", str(NOW), "--source", "billing", **others).status == 0

    def test_goes_by_the_signature_mode(self, run: Run) -> None:
        """A re-serialised body is genuine or not, as the receiver is set."""
        spaced = BODY.replace(":", ": ")
        assert judged(run, header(), "--at", str(NOW), body=spaced).status == 0
        ended = judged(run, header(), "--at", str(NOW), body=spaced, RECEIVER_SIGNATURE_MODE="raw")
        assert ended.status == 1
        assert "RECEIVER_SIGNATURE_MODE=auto" in ended.out

    @pytest.mark.parametrize("value", ["", "\x1b[31m", "t=1,v1=\x1b[31m", "é", "\udcff", "💥" * 1000])
    def test_takes_rubbish(self, run: Run, value: str) -> None:
        """It is not genuine, and cannot command the terminal."""
        ended = judged(run, value)
        assert ended.status == 1
        assert "\x1b" not in ended.out

    @pytest.mark.parametrize(
        ("options", "settings", "name"),
        [
            (("--header", "x"), {"RECEIVER_WEBHOOK_SECRETS": ""}, "RECEIVER_WEBHOOK_SECRETS"),
            (("--header", "x"), {"RECEIVER_WEBHOOK_SECRETS": "short"}, "RECEIVER_WEBHOOK_SECRETS"),
            (("--header", "x", "--source", "none"), SECRETS, "--source"),
            (("--header", "x", "--at", "soon"), SECRETS, "--at"),
            (("--header", "x", "--tolerance", "-1"), SECRETS, "--tolerance"),
            (("--header", "x", "--file", "none"), SECRETS, "--file"),
            ((), SECRETS, "--header"),
        ],
    )
    def test_names_what_is_wrong(
        self, run: Run, options: tuple[str, ...], settings: dict[str, str], name: str
    ) -> None:
        """An option, or a setting."""
        ended = run("verify", *options, **settings)
        assert (ended.status, ended.out) == (2, "")
        assert name in ended.err


class TestSign:
    def test_prints_the_value(self, run: Run) -> None:
        """And nothing else; the first secret is used."""
        ended = run("sign", "--at", str(NOW), stdin=BODY, RECEIVER_WEBHOOK_SECRETS=f"{SECRET},{OTHER}")
        assert (ended.status, ended.out, ended.err) == (0, f"{header()}\n", "")

    def test_signs_for_now(self, run: Run) -> None:
        """What it prints is genuine at once."""
        assert judged(run, run("sign", stdin=BODY, **SECRETS).out.strip()).status == 0

    def test_prints_a_curl_command(self, run: Run, tmp_path: Path) -> None:
        """With the body in it, or the file's name, for the receiver on this machine."""
        inline = shlex.split(run("sign", "--curl", "--at", str(NOW), stdin=BODY, **SECRETS).out)
        assert inline == [
            *("curl", "-sS", "http://127.0.0.1:8000/webhooks/photoverse"),
            *("-H", "Content-Type: application/json"),
            *("-H", f"X-Webhook-Signature: {header()}"),
            *("--data-binary", BODY),
        ]
        (tmp_path / "it's.json").write_text(BODY)
        options = ("--file", "it's.json", "--url", "https://example.com/hook")
        named = shlex.split(run("sign", "--curl", *options, **SECRETS).out)
        assert named[2] == "https://example.com/hook"
        assert named[-1] == "@it's.json"

    @pytest.mark.parametrize("body", [b"\xff", b"@/etc/hostname", b"a\0b"])
    def test_refuses_a_body_that_no_command_can_hold(self, run: Run, body: bytes) -> None:
        """Rather than to print one that sends something else."""
        ended = run("sign", "--curl", stdin=body, **SECRETS)
        assert (ended.status, ended.out) == (2, "")
        assert "--file" in ended.err
