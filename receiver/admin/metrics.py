"""`GET /metrics`: this process's counters, and gauges that are looked up in the store when asked for."""

from collections.abc import Collection, Iterator
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector
from starlette.responses import Response

from receiver import clock
from receiver.admin.gauges import Watched, disks, gauges
from receiver.errors import StoreUnavailable
from receiver.operations.disks import rooms
from receiver.store import Store
from receiver.store.standing import standing
from receiver.telemetry.refusals import Refusals

_ADDRESSES_SHOWN: Final = 10


async def exposition(
    store: Store, refusals: Refusals, *, destinations: Collection[str] = (), watched: Watched
) -> Response:
    """Answer in Prometheus' text format. Without the store, `receiver_store_up` is its only gauge, at 0."""
    registry = CollectorRegistry()
    found = [*disks(await rooms(watched.folders)), *await _gauges(store, destinations, watched)]
    gauge = GaugeMetricFamily(
        "receiver_most_refused_requests",
        "Requests refused in the last ten minutes, for the addresses refused most.",
        labels=["address"],
    )
    for address, count in refusals.most(_ADDRESSES_SHOWN):
        gauge.add_metric([address], count)
    registry.register(_Found([gauge, *found]))
    return Response(generate_latest(REGISTRY) + generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def _gauges(store: Store, destinations: Collection[str], watched: Watched) -> list[Metric]:
    """Look up what the store knows. A further gauge goes here."""
    up = GaugeMetricFamily("receiver_store_up", "Whether the store answers.")
    try:
        found = await store.transact(standing, store.destinations)
    except StoreUnavailable:
        up.add_metric([], 0)
        return [up]
    up.add_metric([], 1)
    return [up, *gauges(found, watched, destinations, clock.now_ms())]


class _Found(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield what was found."""
        yield from self._metrics
