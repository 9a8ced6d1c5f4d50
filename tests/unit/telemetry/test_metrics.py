"""Counters and gauges."""

import pytest
from prometheus_client import REGISTRY, Counter, Gauge

from receiver.telemetry import metrics

METRICS = [metric for metric in vars(metrics).values() if isinstance(metric, Counter | Gauge)]


class TestMetrics:
    @pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric._name)
    def test_named_and_explained(self, metric: Counter | Gauge) -> None:
        """Each metric has our prefix, a sentence, and no label that a caller could fill."""
        assert metric._name.startswith("receiver_")
        assert metric._documentation.endswith(".")
        assert set(metric._labelnames) <= {"source", "outcome", "via", "reason", "destination"}


class TestShowBacklog:
    def test_shows_what_it_is_given_and_nothing_older(self) -> None:
        """A destination that is gone disappears instead of keeping its last figure."""
        metrics.show_backlog({"orders": (3, 7.5), "gone": (1, 1.0)})
        metrics.show_backlog({"orders": (2, 9.5)})

        def value(name: str, destination: str) -> float | None:
            return REGISTRY.get_sample_value(name, {"destination": destination})

        assert value("receiver_backlog", "orders") == 2
        assert value("receiver_oldest_pending_seconds", "orders") == 9.5
        assert value("receiver_backlog", "gone") is None
