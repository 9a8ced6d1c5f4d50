"""Figures as Prometheus names them."""

import asyncio
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric

from receiver.admin import gauges as module
from receiver.admin.gauges import Watched, disks, gauges
from receiver.store.backlog import Waiting
from receiver.store.standing import Allowance, Standing, WaitingEvents

NOW = 1_700_000_000_000
NOTHING = Standing([], Waiting(0), [], 0, [], [], 4096, None)


def waiting(source: str, host: str | None, count: int, oldest_ms: int = NOW) -> WaitingEvents:
    return WaitingEvents(source, host, Waiting(count, oldest_ms))


def shown(found: Standing, watched: Watched = Watched()) -> dict[str, float]:  # noqa: B008  it is frozen
    """Return every sample by its name and labels, as a query would write them."""
    return _samples(gauges(found, watched, ["queue"], NOW))


def _samples(metrics: list[Metric]) -> dict[str, float]:
    return {
        ",".join([one.name, *(f"{k}={v}" for k, v in one.labels.items())]): one.value
        for metric in metrics
        for one in metric.samples
    }


class TestGauges:
    def test_nothing_waits(self) -> None:
        """What can be 0 is 0, so that an alarm sees it end."""
        found = shown(NOTHING)
        assert found["receiver_workers"] == found["receiver_late_assets"] == 0
        assert found["receiver_late_assets_oldest_seconds"] == 0
        assert found["receiver_destination_down,destination=queue"] == 0
        assert found["receiver_database_size_bytes"] == 4096

    def test_events_by_bucket(self) -> None:
        """A source with a bucket of its own, all others, and what needs none are told apart."""
        events = [
            waiting("acme", "a.example", 2),
            waiting("acme", "b.example", 3, NOW - 1500),
            waiting("acme", None, 4),
            waiting("photoverse", "a.example", 5, NOW + 1500),
        ]
        found = shown(replace(NOTHING, events=events), Watched(with_own_bucket=["acme"]))
        assert found["receiver_events_waiting,source=acme,bucket=acme"] == 5
        assert found["receiver_events_waiting,source=acme,bucket="] == 4
        assert found["receiver_events_waiting,source=photoverse,bucket=*"] == 5
        assert found["receiver_events_waiting_oldest_seconds,source=acme"] == 1.5
        assert found["receiver_events_waiting_oldest_seconds,source=photoverse"] == 0
        assert found["receiver_asset_host_events_waiting,asset_host=a.example"] == 7

    def test_hosts_are_bounded(self) -> None:
        """Senders name hosts: those with the fewest events share one label."""
        events = [waiting("photoverse", f"{number}.example", number) for number in range(1, 31)]
        found = shown(replace(NOTHING, events=events))
        hosts = [name for name in found if name.startswith("receiver_asset_host_events_waiting")]
        assert len(hosts) == 21
        assert found["receiver_asset_host_events_waiting,asset_host=other"] == sum(range(1, 11))

    @pytest.mark.parametrize(("reset_ms", "left"), [(NOW - 501, 60), (NOW + 1, 3), (None, 3)])
    def test_rate_limit(self, reset_ms: int | None, left: int) -> None:
        """Once the window is over by the provider's clock, the whole limit is left."""
        found = shown(
            replace(NOTHING, allowances=[Allowance("hash", 60, 3, reset_ms, -500)]),
            Watched(paces={"hash": "photoverse"}),
        )
        assert found["receiver_provider_requests_limit,source=photoverse"] == 60
        assert found["receiver_provider_requests_remaining,source=photoverse"] == left
        assert found["receiver_clock_skew_seconds,clock=photoverse"] == -0.5

    def test_clock_of_the_database(self) -> None:
        """It is told where the database has one."""
        found = shown(replace(NOTHING, database_now_ms=NOW + 2000))
        assert found["receiver_clock_skew_seconds,clock=database"] == 2


class TestDisks:
    async def test_of_a_folder_that_is_not_made_yet(self, tmp_path: Path) -> None:
        """The disk is that of the folder above it."""
        found = _samples(await disks({"spool": tmp_path / "data" / "spool"}))
        free, size = (found[f"receiver_disk_{what}_bytes,use=spool"] for what in ("free", "size"))
        assert 0 < free < size

    async def test_one_that_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is left out, however often it is asked for, and takes one thread."""
        free = threading.Event()
        monkeypatch.setattr(module, "_DISK_S", 0.01)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: free.wait(20))
        before = threading.active_count()
        found = await asyncio.gather(*(disks({"spool": tmp_path}) for _ in range(5)))
        assert [_samples(one) for one in found] == [{}] * 5
        assert threading.active_count() <= before + 1
        free.set()
