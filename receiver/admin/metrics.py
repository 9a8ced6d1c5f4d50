"""`GET /metrics`: this process's counters, and gauges that are looked up in the store when asked for."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector
from starlette.responses import Response

from receiver import clock
from receiver.admin.gauges import Watched, disks, gauges
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.backlog import Backlog, backlog
from receiver.store.measures import Measures, measure
from receiver.store.search import dead_letters, open_bodies
from receiver.telemetry.refusals import Refusals

_ADDRESSES_SHOWN: Final = 10


async def exposition(
    store: Store, refusals: Refusals, *, destinations: Collection[str] = (), watched: Watched
) -> Response:
    """Answer in Prometheus' text format. Without the store, `receiver_store_up` is its only gauge, at 0."""
    registry = CollectorRegistry()
    found = [*await disks(watched.folders), *await _gauges(store, destinations, watched)]
    registry.register(_Found([_most_refused(refusals), *found]))
    return Response(generate_latest(REGISTRY) + generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def _gauges(store: Store, destinations: Collection[str], watched: Watched) -> list[Metric]:
    """Look up what the store knows. A further gauge goes here."""
    now_ms = clock.now_ms()
    up = GaugeMetricFamily("receiver_store_up", "Whether the store answers.")
    try:
        found = [
            *_backlog(await store.transact(backlog, store.destinations), now_ms),
            _dead_letters(await store.transact(dead_letters)),
            _quarantined(await store.transact(open_bodies)),
            *gauges(await _measured(store, watched), watched, destinations, clock.now_ms()),
        ]
    except StoreUnavailable:
        up.add_metric([], 0)
        return [up]
    up.add_metric([], 1)
    return [up, *found]


async def _measured(store: Store, watched: Watched) -> Measures:
    lease_ms = int(watched.lease_s * 1000)
    return await store.transact(measure, now_ms=clock.now_ms(), lease_ms=lease_ms, paces=tuple(watched.paces))


def _most_refused(refusals: Refusals) -> Metric:
    gauge = GaugeMetricFamily(
        "receiver_most_refused_requests",
        "Requests refused in the last ten minutes, of the addresses that were refused most.",
        labels=["address"],
    )
    for address, count in refusals.most(_ADDRESSES_SHOWN):
        gauge.add_metric([address], count)
    return gauge


def _backlog(backlogs: Sequence[Backlog], now_ms: int) -> tuple[Metric, Metric]:
    waiting = GaugeMetricFamily(
        "receiver_backlog", "Deliveries that wait for their destination.", labels=["destination"]
    )
    oldest = GaugeMetricFamily(
        "receiver_oldest_pending_seconds",
        "How long ago the oldest event was received that waits for its destination.",
        labels=["destination"],
    )
    for one in backlogs:
        waiting.add_metric([one.destination], one.pending)
        oldest.add_metric([one.destination], one.oldest_s(now_ms))
    return waiting, oldest


def _dead_letters(counts: dict[str, int]) -> Metric:
    gauge = GaugeMetricFamily(
        "receiver_dead_letters", "Dead letters, by destination.", labels=["destination"]
    )
    for destination, count in sorted(counts.items()):
        gauge.add_metric([destination], count)
    return gauge


def _quarantined(count: int) -> Metric:
    return GaugeMetricFamily(
        "receiver_quarantined", "Bodies in quarantine that nobody has dealt with.", count
    )


class _Found(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield what was found."""
        yield from self._metrics
