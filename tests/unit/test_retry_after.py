"""Retry-After, read without trusting it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.retry_after import MAX_S, retry_after_s

NOW = 1_445_412_450.0  # 30 s before the date below
DATE = "Wed, 21 Oct 2015 07:28:00"


class TestRetryAfterS:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("0", 0.0),
            (" 120 ", 120.0),
            ("3600", 3600.0),
            ("3601", MAX_S),
            ("00005", 5.0),
            ("9" * 5000, MAX_S),
            (f"{DATE} GMT", 30.0),
            (f"{DATE} -0000", 30.0),
            (DATE, 30.0),
            ("Wednesday, 21-Oct-15 07:28:00 GMT", 30.0),
            ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_S),
        ],
    )
    def test_seconds_and_dates(self, value: str, expected: float) -> None:
        """Both forms are read, and clamped to 0..3600 s."""
        assert retry_after_s(value, now=NOW) == expected

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            "soon",
            "-5",
            "1.5",
            "1e9",
            "٣",
            "²",
            "Wed, 99 Oct 2015 07:28:00 GMT",
            f"Wed, 21 Oct 2015 {10**20}:28:00 GMT",
        ],
    )
    def test_anything_else_asks_for_nothing(self, value: str | None) -> None:
        """What is neither form is as good as absent."""
        assert retry_after_s(value, now=NOW) is None

    @given(st.text())
    def test_never_raises_nor_leaves_the_range(self, value: str) -> None:
        """No header can make us fail or wait longer than the limit."""
        wait = retry_after_s(value, now=NOW)
        assert wait is None or 0 <= wait <= MAX_S
