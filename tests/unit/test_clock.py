"""The machine's clock."""

import time

from receiver.clock import now_ms


class TestNowMs:
    def test_counts_milliseconds_since_the_epoch(self) -> None:
        """As the operating system does."""
        before = time.time_ns() // 1_000_000
        assert before - 1 <= now_ms() <= time.time_ns() // 1_000_000
