"""The client's results as records: the same fields whatever the provider's dialect."""

from datetime import UTC, datetime
from pathlib import Path

from receiver.cli import records
from receiver.client import RateLimit, Submission, parse

RAW = {"id": "gen_1", "status": "completed", "output_url": "https://example.com/x", "new_field": 1}


class TestRecord:
    def test_has_every_field_but_the_raw_answer(self) -> None:
        """What the provider adds one day does not change what programs read."""
        found = records.record(parse.generation(RAW))
        assert (found["id"], found["output_url"], found["error"]) == ("gen_1", "https://example.com/x", None)
        assert not {"raw", "new_field"} & set(found)

    def test_leaves_out_what_it_is_told(self) -> None:
        """A secret, above all."""
        webhook = parse.webhook({"id": "wh_1", "secret": "hush"})
        assert records.record(webhook)["secret"] == "hush"
        assert "secret" not in records.record(webhook, without=frozenset({"secret"}))


class TestGeneration:
    def test_has_a_file_once_there_is_one(self) -> None:
        """As a path."""
        made = parse.generation(RAW)
        assert "file" not in records.generation(made)
        assert records.generation(made, Path("a/b"))["file"] == "a/b"


class TestRateLimit:
    def test_has_times(self) -> None:
        """Rather than seconds; the end of the window may not be known."""
        found = records.rate_limit(RateLimit(60, 59, None, 0.12345, 0.0))
        assert found == {
            "limit": 60,
            "remaining": 59,
            "reset_at": None,
            "skew_s": 0.123,
            "observed_at": datetime(1970, 1, 1, tzinfo=UTC),
        }


class TestSubmission:
    def test_has_the_prompt_of_its_own(self) -> None:
        """And when it was sent, if it was."""
        found = records.submission(Submission("a", "image", {"prompt": "x"}, "sending"))
        assert (found["client_ref"], found["prompt"], found["sent_at"]) == ("a", "x", None)
