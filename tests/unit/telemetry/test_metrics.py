"""Counters, gauges and a histogram."""

import pytest
from prometheus_client import Counter, Gauge, Histogram

from receiver.telemetry import metrics

METRICS = [metric for metric in vars(metrics).values() if isinstance(metric, Counter | Gauge | Histogram)]


class TestMetrics:
    @pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric._name)
    def test_named_and_explained(self, metric: Counter | Gauge | Histogram) -> None:
        """Each metric has our prefix, a sentence, and no label that a caller could fill."""
        assert metric._name.startswith("receiver_")
        assert metric._documentation.endswith(".")
        labels = {"source", "outcome", "via", "secret", "reason", "destination", "option", "kind"}
        assert set(metric._labelnames) <= labels
