"""Destinations and the bucket are killed and started again in turn: nothing is lost."""

from pathlib import Path

import pytest

from tests.benchmark.outages import Run, prove

QUEUES = ("http", "redis", "nats")
"""Those that start quickly. `python -m tests.benchmark.outages` has all, `tests/contract/` each alone."""


class TestOutages:
    @pytest.mark.timeout(600)
    def test_every_event_is_everywhere_in_the_end(self, tmp_path: Path) -> None:
        """Two workers on PostgreSQL, three destinations and a bucket: each event and asset gets to each.

        An outage begins while the one before is being made up for. What it does to the others' latency is
        measured by the benchmark, not here.
        """
        figures = prove(Run(rate=20, seconds=0.5, settled=False, queues=QUEUES), tmp_path)
        assert figures.events > 150
        assert [(each.system, each.missing) for each in figures.arrivals] == [
            (system, 0) for system in (*QUEUES, "bucket")
        ]
        assert all(each.events > 100 for each in figures.arrivals)
