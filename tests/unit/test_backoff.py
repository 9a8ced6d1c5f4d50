"""Waiting longer and longer, and never all at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.backoff import Backoff


class TestDelayS:
    @pytest.mark.parametrize(
        ("attempts", "ceiling_s"), [(1, 2), (2, 4), (3, 8), (7, 128), (8, 200), (99, 200)]
    )
    def test_ceiling_doubles_up_to_the_maximum(self, attempts: int, ceiling_s: float) -> None:
        """Half the chance is half the ceiling, which doubles with every attempt until the maximum."""
        assert Backoff(first_s=2, max_s=200).delay_s(attempts, 0.5) == ceiling_s / 2

    @given(st.integers(-5, 10**9), st.floats(0, 1, exclude_max=True))
    def test_is_bounded(self, attempts: int, chance: float) -> None:
        """However many the attempts, the wait is a number of seconds below the maximum."""
        assert 0 <= Backoff(first_s=1, max_s=3600).delay_s(attempts, chance) < 3600

    def test_chance_decides(self) -> None:
        """The wait is anything from nothing to the ceiling: senders that failed together spread out."""
        delays = [Backoff(first_s=10).delay_s(1, chance) for chance in (0.0, 0.25, 0.75)]
        assert delays == [0.0, 2.5, 7.5]
