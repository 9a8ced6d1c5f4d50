"""Counters and gauges."""

import pytest
from prometheus_client import Counter, Gauge

from receiver.telemetry import metrics

METRICS = [metric for metric in vars(metrics).values() if isinstance(metric, Counter | Gauge)]


class TestMetrics:
    @pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric._name)
    def test_named_and_explained(self, metric: Counter | Gauge) -> None:
        """Each metric has our prefix, a sentence, and no label that a caller could fill."""
        assert metric._name.startswith("receiver_")
        assert metric._documentation.endswith(".")
        assert set(metric._labelnames) <= {"source", "outcome", "via", "reason", "destination", "option"}
