"""Retry-After and the dates of HTTP, read without trusting them."""

import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.retry_after import MAX_S, http_date, retry_after_s

NOW = 1_445_412_450.0  # 30 s before the date below
DATE = "Wed, 21 Oct 2015 07:28:00"


class TestRetryAfterS:
    def test_seconds_and_dates(self, subtests: pytest.Subtests) -> None:
        """Both forms are read, and clamped to 0..3600 s."""
        for value, expected in [
            ("0", 0.0),
            (" 120 ", 120.0),
            ("3600", 3600.0),
            ("3601", MAX_S),
            ("00005", 5.0),
            ("9" * 5000, MAX_S),
            ("1.5", 1.5),
            ("0.25", 0.25),
            (f"{'9' * 400}.5", MAX_S),
            (f"{DATE} GMT", 30.0),
            (f"{DATE} -0000", 30.0),
            (DATE, 30.0),
            ("Wednesday, 21-Oct-15 07:28:00 GMT", 30.0),
            ("Wed Oct 21 07:28:00 2015", 30.0),
            ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_S),
        ]:
            with subtests.test(value=value, expected=expected):
                assert retry_after_s(value, now=NOW) == expected

    def test_anything_else_asks_for_nothing(self, subtests: pytest.Subtests) -> None:
        """What is neither form is as good as absent."""
        for value in [
            None,
            "",
            "soon",
            "-5",
            "+5",
            ".5",
            "1.2.3",
            "1e9",
            "inf",
            "NaN",
            "0x10",
            "1_000",
            "5 s",
            "5, 9",
            "٣",
            "²",
            "Wed, 99 Oct 2015 07:28:00 GMT",
            f"Wed, 21 Oct 2015 {10**20}:28:00 GMT",
        ]:
            with subtests.test(value=value):
                assert retry_after_s(value, now=NOW) is None

    def test_a_date_is_counted_from_the_answers_own(self) -> None:
        """A server whose clock is an hour off still gets the wait it asks for; seconds need no clock."""
        date = "Wed, 21 Oct 2015 07:27:50 GMT"
        for now in (NOW - 3600, NOW, NOW + 3600):
            assert retry_after_s(f"{DATE} GMT", now=now, date=date) == 10.0
            assert retry_after_s("120", now=now, date=date) == 120.0
        assert retry_after_s(f"{DATE} GMT", now=NOW, date="yesterday") == 30.0

    def test_the_caller_has_a_limit_of_its_own(self) -> None:
        """It holds for both forms."""
        assert retry_after_s("500", now=NOW, longest_s=120) == 120
        assert retry_after_s("Fri, 31 Dec 9999 23:59:59 GMT", now=NOW, longest_s=120) == 120

    @given(st.text())
    def test_never_raises_nor_leaves_the_range(self, value: str) -> None:
        """No header can make us fail or wait longer than the limit."""
        wait = retry_after_s(value, now=NOW)
        assert wait is None or 0 <= wait <= MAX_S


class TestHttpDate:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Be where local time is not GMT."""
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
        monkeypatch.undo()
        time.tzset()

    def test_each_form_is_gmt(self, subtests: pytest.Subtests) -> None:
        """The three of RFC 9110, and what servers make of them: without a zone it is GMT, wherever we are."""
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Sun, 06 Nov 1994 10:49:37 +0200",
            "Sun, 06 Nov 1994 03:19:37 -0530",
            "Sun, 06 Nov 1994 03:19:37 -05:30",
            "  Sun, 06 Nov 1994 08:49:37 GMT ",
        ]:
            with subtests.test(text=text):
                assert http_date(text, now=NOW) == 784_111_777.0

    @pytest.mark.parametrize(("year", "meant"), [("94", 1994), ("15", 2015), ("65", 2065), ("66", 1966)])
    def test_two_digits_are_the_nearest_year(self, year: str, meant: int) -> None:
        """More than fifty years ahead means the last century."""
        assert http_date(f"Sunday, 06-Nov-{year} 08:49:37 GMT", now=NOW) == http_date(
            f"Sun, 06 Nov {meant} 08:49:37 GMT", now=NOW
        )

    def test_a_leap_second(self) -> None:
        """It is the next one for everybody else."""
        assert http_date("Sat, 31 Dec 2016 23:59:60 GMT", now=NOW) == 1_483_228_800.0

    def test_anything_else_is_none(self, subtests: pytest.Subtests) -> None:
        """Half a date is no date."""
        for text in [
            None,
            "",
            "soon",
            "1994-11-06T08:49:37Z",
            "Sun, 06 Nov 1994",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
            "Sun, 06 Nov 19940 08:49:37 GMT",
            "Sun, 06 Nov ١٩٩٤ 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Fri, 31 Dec 9999 23:59:60 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Mon, 07 Nov 1994 08:49:37 GMT",
        ]:
            with subtests.test(text=text):
                assert http_date(text, now=NOW) is None

    @given(st.integers(0, 4_000_000_000))
    def test_reads_what_python_writes(self, at: int) -> None:
        """To the second."""
        assert http_date(formatdate(at, usegmt=True), now=NOW) == at

    @given(
        st.text()
        | st.from_regex(r"(?i)[a-z]{3}, \d\d [a-z]{3} \d{4} \d\d:\d\d:\d\d( [+-]\d{4})?", fullmatch=True)
    )
    def test_never_raises(self, text: str) -> None:
        """No header can make us fail."""
        http_date(text, now=NOW)
