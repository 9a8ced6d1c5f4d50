"""Counters, gauges and a histogram."""

import pytest
from prometheus_client import Counter, Gauge, Histogram

from receiver.telemetry import metrics

METRICS = [metric for metric in vars(metrics).values() if isinstance(metric, Counter | Gauge | Histogram)]


class TestMetrics:
    def test_named_and_explained(self, subtests: pytest.Subtests) -> None:
        """Each metric has our prefix, a sentence, and no label that a caller could fill."""
        labels = {"source", "outcome", "via", "secret", "reason", "destination", "option", "kind"}
        for metric in METRICS:
            with subtests.test(metric._name):
                assert metric._name.startswith("receiver_")
                assert metric._documentation.endswith(".")
                assert set(metric._labelnames) <= labels
