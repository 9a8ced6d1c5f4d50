"""The rate limit, by a clock that only the test moves."""

from dataclasses import dataclass

import pytest

from receiver.worker.rate import TokenBucket


@dataclass
class Clock:
    now: float = 50.0

    def __call__(self) -> float:
        return self.now


class TestTokenBucket:
    @pytest.mark.parametrize(
        ("per_s", "batch"), [(0.2, 1), (1, 500), (3, 10), (10, 1), (250, 500), (5_000, 10), (5_000, 1)]
    )
    def test_holds_the_rate(self, per_s: float, batch: int) -> None:
        """Over 100 s nobody gets more than the rate and one second's worth, and who asks gets nearly that."""
        clock = Clock()
        bucket = TokenBucket(per_s, clock=clock)
        sent = 0
        while clock.now < 150:
            taken = bucket.take(batch)
            sent += taken
            clock.now += 0.0 if taken else bucket.wait_s()
        assert per_s * 100 - 1 <= sent <= per_s * 100 + max(1, per_s) + 1

    def test_at_most_a_second_s_worth_at_once(self) -> None:
        """Tokens do not pile up while there is nothing to send."""
        clock = Clock()
        bucket = TokenBucket(7, clock=clock)
        clock.now += 3600
        assert bucket.take(100) == 7

    def test_waiting_exactly_long_enough_is_enough(self) -> None:
        """Who waits as long as told gets something, whatever the rounding."""
        for per_s in (0.3, 0.7, 3, 11, 37):
            clock = Clock()
            bucket = TokenBucket(per_s, clock=clock)
            while bucket.take(1):
                pass
            for _ in range(100):
                clock.now += bucket.wait_s()
                assert bucket.take(1) == 1

    def test_gathers_before_it_hands_out(self) -> None:
        """At a high rate a batch is a tenth of a second's worth, not one message."""
        clock = Clock()
        bucket = TokenBucket(1_000, clock=clock)
        assert bucket.take(5_000) == 1_000
        clock.now += 0.05
        assert bucket.take(500) == 0
        assert bucket.wait_s() == pytest.approx(0.05)
        clock.now += 0.05
        assert bucket.take(500) == 100

    def test_a_small_batch_need_not_wait_for_more(self) -> None:
        """Who wants one is not kept waiting for a tenth of a second's worth."""
        clock = Clock()
        bucket = TokenBucket(1_000, clock=clock)
        bucket.take(1_000)
        clock.now += 0.001
        assert bucket.take(1) == 1

    def test_put_back(self) -> None:
        """Tokens that no message was found for serve the next, and are never more than fit."""
        bucket = TokenBucket(5, clock=Clock())
        assert bucket.take(3) == 3
        bucket.put_back(2)
        assert bucket.take(9) == 4
        bucket.put_back(99)
        assert bucket.take(9) == 5
