"""Times on the command line."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import click
import pytest

from receiver.cli.moments import Moment, Since

NOW = 1_736_424_015


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Move this machine fourteen hours ahead of UTC."""
    with monkeypatch.context() as moved:
        moved.setenv("TZ", "XST-14")
        time.tzset()
        yield
    time.tzset()


class TestSince:
    def test_a_time_without_a_zone_is_in_utc(self, far_east: None) -> None:
        """Wherever the machine stands."""
        expected = datetime.fromtimestamp(NOW, UTC)
        assert Since().convert("2025-01-09T12:00:15", None, None) == expected

    def test_refuses_the_rest(self) -> None:
        """With a message that shows what would do."""
        with pytest.raises(click.BadParameter, match="36h"):
            Since().convert("tomorrow", None, None)


class TestMoment:
    @pytest.mark.parametrize(
        "text", ["1736424015", "1736424015.0", "2025-01-09T12:00:15Z", "2025-01-09T13:00:15+01:00"]
    )
    def test_reads_seconds_and_times(self, text: str) -> None:
        """Both mean the same moment."""
        assert Moment().convert(text, None, None) == NOW

    def test_a_time_without_a_zone_is_in_utc(self, far_east: None) -> None:
        """Wherever the machine stands, as everywhere else on the command line."""
        assert Moment().convert("2025-01-09T12:00:15", None, None) == NOW

    def test_refuses_the_rest(self, subtests: pytest.Subtests) -> None:
        """With a message, not a traceback."""
        for text in ("", "soon", "nan", "inf", "-1", "1e99", "9" * 400, "2025-13-01"):
            with subtests.test(text=text), pytest.raises(click.BadParameter, match="1970"):
                Moment().convert(text, None, None)
