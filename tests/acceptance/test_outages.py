"""Every destination and the bucket are killed and started again in turn: nothing is lost."""

from pathlib import Path

import pytest

from tests.benchmark.outages import Run, prove


class TestOutages:
    @pytest.mark.timeout(600)
    def test_every_event_is_everywhere_in_the_end(self, tmp_path: Path) -> None:
        """Two workers on PostgreSQL, five destinations and a bucket: each event and asset is at each of them.

        An outage begins while the one before is being made up for. What it does to the others' latency is
        measured by the benchmark, not here.
        """
        figures = prove(Run(rate=20, seconds=0.5, settled=False), tmp_path)
        assert figures.events > 200
        assert [(each.system, each.missing) for each in figures.arrivals] == [
            (system, 0) for system in ("http", "redis", "nats", "rabbitmq", "postgres", "bucket")
        ]
        assert all(each.events > 100 for each in figures.arrivals)
