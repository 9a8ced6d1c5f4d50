"""Counters."""

import pytest
from prometheus_client import Counter

from receiver.telemetry import metrics

COUNTERS = [counter for counter in vars(metrics).values() if isinstance(counter, Counter)]


class TestCounters:
    @pytest.mark.parametrize("counter", COUNTERS, ids=lambda counter: counter._name)
    def test_named_and_explained(self, counter: Counter) -> None:
        """Each counter has our prefix, a sentence, and no label that a caller could fill."""
        assert counter._name.startswith("receiver_")
        assert counter._documentation.endswith(".")
        assert set(counter._labelnames) <= {"source", "outcome", "via", "reason", "destination"}
