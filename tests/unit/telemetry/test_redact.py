"""Keeping secrets out of log lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.telemetry.redact import REDACTED, redact, redact_event

SECRET = "hunter2hunter2"


class TestRedact:
    def test_hides(self, subtests: pytest.Subtests) -> None:
        """Query strings, passwords, keys and signatures go; what an operator needs stays."""
        for text, left in (
            (f"GET https://cdn.example.com/a.png?sig={SECRET} failed", "cdn.example.com/a.png"),
            (f"'https://h/a#{SECRET}'", "https://h/a"),
            (f"https://h?x={SECRET}&y=http://i?z={SECRET}", "https://h"),
            (f"postgresql://receiver:{SECRET}@db/x", "@db/x"),
            (f"amqp://{SECRET}@mq", "@mq"),
            (f"key avs_live_{SECRET} refused", "avs_live_"),
            (f"whsec_{SECRET}", "whsec_"),
            (f"t=1736424015,v1={'0a' * 32}", "t=1736424015"),
            (f"S3://h/a?x={SECRET}", "S3://h/a"),
        ):
            with subtests.test(text=text):
                redacted = redact(text)
                assert SECRET not in redacted
                assert "0a0a" not in redacted
                assert left in redacted
                assert REDACTED in redacted

    @pytest.mark.parametrize(
        "text", ["", "mirrored", "s3://bucket/a/b.png", "gen_1", "what? no", "v1=abc", "file:///a/b"]
    )
    def test_leaves_the_rest(self, text: str) -> None:
        """Text without a secret is the same afterwards."""
        assert redact(text) == text

    @given(st.text())
    def test_takes_any_text(self, text: str) -> None:
        """No text makes it fail, and redacting twice changes nothing more."""
        assert redact(redact(text)) == redact(text)


class TestRedactEvent:
    @pytest.mark.parametrize(
        "name",
        ["secret", "webhook_secrets", "Authorization", "api_key", "apikey", "x-webhook-signature", "cookie"],
    )
    def test_drops_what_is_named_a_secret(self, name: str) -> None:
        """A value whose name says that it is secret goes whole."""
        assert redact_event(None, "", {name: "plain"}) == {name: REDACTED}

    def test_redacts_every_text(self) -> None:
        """Every other text value is searched; numbers stay."""
        line = {"event": f"https://h/?{SECRET}", "url": f"https://u:{SECRET}@h", "size_bytes": 7}
        redacted = redact_event(None, "", line)
        assert SECRET not in str(redacted)
        assert redacted["size_bytes"] == 7

    @pytest.mark.parametrize(
        "value", [[f"https://h/?{SECRET}"], ValueError(f"https://h/?{SECRET}"), {"a": f"whsec_{SECRET}"}]
    )
    def test_redacts_what_is_not_text(self, value: object) -> None:
        """Lists, tables and exceptions are printed too, so they are searched too."""
        assert SECRET not in repr(redact_event(None, "", {"error": value}))
