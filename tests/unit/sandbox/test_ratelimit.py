"""A fixed window for each key."""

from typing import Any

import pytest

from receiver.sandbox import Dialect
from receiver.sandbox.ratelimit import RateLimits
from receiver.sandbox.refusals import Refusal

NOW = 1_736_424_000.7


class TestTake:
    def test_sixty_and_no_more(self) -> None:
        """The 61st request of a window is refused, and another key's first is not."""
        limits = RateLimits(60, 60)
        for _ in range(60):
            limits.take("a", NOW)
        with pytest.raises(Refusal, match="Too many") as refusal:
            limits.take("a", NOW + 59)
        assert refusal.value.response().status_code == 429
        limits.take("b", NOW)

    def test_a_window_ends_when_its_header_says(self) -> None:
        """At the reset, to the second, there is room again."""
        limits = RateLimits(1, 60)
        limits.take("a", NOW)
        reset = int(limits.headers("a", NOW)["X-RateLimit-Reset"])
        with pytest.raises(Refusal):
            limits.take("a", reset - 0.01)
        limits.take("a", reset)

    def test_a_refused_request_may_count(self) -> None:
        """In that dialect it costs as much as a good one; there is nothing less than nothing left."""
        limits = RateLimits(1, 60, Dialect(refused_requests_count=True))
        limits.take("a", NOW)
        for _ in range(3):
            with pytest.raises(Refusal):
                limits.take("a", NOW)
        assert limits.headers("a", NOW)["X-RateLimit-Remaining"] == "0"

    def test_windows_may_be_whole_minutes(self) -> None:
        """The same end for every key, however late it came."""
        limits = RateLimits(1, 60, Dialect(rate_window="whole_minutes"))
        assert limits.ends_at("a", NOW + 30) == limits.ends_at("b", NOW) == 1736424060


class TestHeaders:
    def test_may_be_in_milliseconds(self) -> None:
        """The reset, and nothing else."""
        limits = RateLimits(60, 60, Dialect(reset_unit="milliseconds"))
        assert limits.headers("a", NOW)["X-RateLimit-Reset"] == "1736424060000"

    @pytest.mark.parametrize(
        ("told", "with_key", "without"), [("never", 0, 0), ("with_key", 3, 0), ("always", 3, 3)]
    )
    def test_may_be_absent(self, told: Any, with_key: int, without: int) -> None:
        """Altogether, or where there is no key."""
        limits = RateLimits(60, 60, Dialect(rate_headers=told))
        assert (len(limits.headers("a", NOW)), len(limits.headers("", NOW))) == (with_key, without)

    def test_count_down(self) -> None:
        """Limit, what remains, and when the window ends."""
        limits = RateLimits(60, 60)
        limits.take("a", NOW)
        assert limits.headers("a", NOW) == {
            "X-RateLimit-Limit": "60",
            "X-RateLimit-Remaining": "59",
            "X-RateLimit-Reset": "1736424060",
        }
