"""Times as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from receiver.operations.moments import read_moment

NOW = datetime(2025, 1, 9, 12, tzinfo=UTC)


class TestReadMoment:
    def test_reads(self, subtests: pytest.Subtests) -> None:
        """An age counts back from now; a day begins, and a time without an offset is, in UTC."""
        for text, moment in (
            ("90s", NOW - timedelta(seconds=90)),
            ("30m", NOW - timedelta(minutes=30)),
            ("2h", NOW - timedelta(hours=2)),
            ("3d", NOW - timedelta(days=3)),
            ("2025-01-09T12:00:00Z", NOW),
            ("2025-01-09T13:00+01:00", NOW),
            ("2025-01-09T12:00", NOW),
            ("2025-01-09", NOW.replace(hour=0)),
            ("today", NOW.replace(hour=0)),
            ("yesterday", NOW.replace(day=8, hour=0)),
        ):
            with subtests.test(text=text):
                assert read_moment(text, now=NOW) == moment

    def test_refuses(self, subtests: pytest.Subtests) -> None:
        """The message shows how to write it."""
        for text in ("", "tomorrow", "2", "-2h", "2w", "²h", "999999d", "2025-13-01", "12:00"):
            with subtests.test(text=text), pytest.raises(ValueError, match="36h"):
                read_moment(text, now=NOW)
