"""The metrics of the private API: those of this process, and gauges of what waits, is down or runs out."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector
from starlette.responses import Response

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.operations.status import Room, rooms
from receiver.store import Store
from receiver.store.outages import ASSET_HOST, BUCKET, COMMON_BUCKET
from receiver.store.standing import Standing, WaitingEvents, standing
from receiver.telemetry.refusals import Refusals

_HOSTS_SHOWN: Final = 20
"""Senders name the hosts, so only those with the most events have a label."""

Sample = tuple[Sequence[str], float]


@dataclass(frozen=True, slots=True)
class Watched:
    """Inputs besides the queues."""

    with_own_bucket: Collection[str] = ()
    """Sources with their own bucket."""
    lease_s: float = 60.0
    """The length of workers' leases."""
    paces: Mapping[str, str] = field(default_factory=dict)
    """Sources with an API key, by the name of its shared pace."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Folders on this machine's disks, by use."""


def gauges(found: Standing, watched: Watched, destinations: Collection[str], now_ms: int) -> list[Metric]:
    """Return what waits, what is down and what runs out, as Prometheus names it."""
    alive = [one for one in found.spools if one.state(now_ms, watched.lease_s) == "alive"]
    return [
        *_deliveries(found, destinations, now_ms),
        _gauge(
            "receiver_quarantined",
            "Quarantined bodies that are still open.",
            value=found.quarantined,
        ),
        *_mirroring(found, watched, now_ms),
        _gauge(
            "receiver_workers",
            "Live workers; those that share a spool folder count once.",
            value=len(alive),
        ),
        *_destinations(found, destinations, now_ms),
        *_outages(found, watched, now_ms),
        _gauge("receiver_database_size_bytes", "Size of the whole database.", value=found.database_bytes),
        *_provider(found, watched, now_ms),
    ]


def disks(found: Mapping[str, Room]) -> list[Metric]:
    """Return the space on each disk, by use."""
    free: list[Sample] = [([use], one.free) for use, one in found.items()]
    size: list[Sample] = [([use], one.total) for use, one in found.items()]
    return [
        _gauge("receiver_disk_free_bytes", "Free space for this process on a disk, by use.", ["use"], free),
        _gauge("receiver_disk_size_bytes", "Size of a disk, by use.", ["use"], size),
    ]


def _mirroring(found: Standing, watched: Watched, now_ms: int) -> Iterable[Metric]:
    labels = ["source", "bucket"]
    events: Counter[tuple[str, str]] = Counter()
    oldest_ms: dict[str, int] = {}
    for one in found.events:
        events[one.source, _bucket(one, watched)] += one.waiting.count
        if one.waiting.oldest_ms is not None:
            known_ms = oldest_ms.get(one.source, one.waiting.oldest_ms)
            oldest_ms[one.source] = min(known_ms, one.waiting.oldest_ms)
    yield _gauge(
        "receiver_events_waiting",
        "Events not settled yet, by source and bucket. An empty bucket: they need no asset.",
        labels,
        sorted(events.items()),
    )
    yield _gauge(
        "receiver_events_waiting_oldest_seconds",
        "Age of the oldest event not settled yet, since its receipt, by source.",
        ["source"],
        [([source], _age_s(oldest, now_ms)) for source, oldest in sorted(oldest_ms.items())],
    )
    yield _gauge(
        "receiver_asset_host_events_waiting",
        "Events that wait for their asset, by its host: the 20 with the most, and `other`.",
        ["asset_host"],
        _by_host(found.events),
    )
    yield _gauge("receiver_late_assets", "Late assets that are still retried.", value=found.late.count)
    yield _gauge(
        "receiver_late_assets_oldest_seconds",
        "Age of the oldest event whose late asset is still retried, since its receipt.",
        value=found.late.oldest_s(now_ms),
    )


def _deliveries(found: Standing, configured: Collection[str], now_ms: int) -> Iterable[Metric]:
    waiting = [one for one in found.destinations if one.waiting.count or one.name in configured]
    yield _gauge(
        "receiver_backlog",
        "Deliveries that wait for their destination.",
        ["destination"],
        [([one.name], one.waiting.count) for one in waiting],
    )
    yield _gauge(
        "receiver_oldest_pending_seconds",
        "Age of the oldest event that waits for its destination, since its receipt.",
        ["destination"],
        [([one.name], one.waiting.oldest_s(now_ms)) for one in waiting],
    )
    yield _gauge(
        "receiver_dead_letters",
        "Dead letters, by destination.",
        ["destination"],
        [([one.name], one.dead) for one in found.destinations if one.dead],
    )


def _destinations(found: Standing, configured: Collection[str], now_ms: int) -> Iterable[Metric]:
    down = {one.name for one in found.destinations if one.is_down(now_ms)}
    paused = {one.name for one in found.destinations if one.paused_ms is not None}
    for state, names_there, meaning in (
        ("down", down, "1 while any worker finds the destination down."),
        ("paused", paused, "1 while the destination is paused by an operator."),
    ):
        values: list[Sample] = [([name], name in names_there) for name in sorted({*configured, *names_there})]
        yield _gauge(f"receiver_destination_{state}", meaning, ["destination"], values)


def _outages(found: Standing, watched: Watched, now_ms: int) -> Iterable[Metric]:
    down = {one.name for one in found.down(BUCKET, now_ms)}
    yield _gauge(
        "receiver_bucket_down",
        "1 while any worker finds the source's bucket down; * is the shared bucket.",
        ["source"],
        [([name], name in down) for name in (COMMON_BUCKET, *watched.with_own_bucket)],
    )
    yield _gauge(
        "receiver_asset_hosts_down",
        "Asset hosts that any worker finds down.",
        value=len(found.down(ASSET_HOST, now_ms)),
    )


def _provider(found: Standing, watched: Watched, now_ms: int) -> Iterable[Metric]:
    by_source = {name: one for name, one in found.rate_limits(watched.paces).items() if one is not None}
    limits: list[Sample] = [([name], one.limit) for name, one in by_source.items() if one.limit is not None]
    left: list[Sample] = [
        ([name], remaining) for name, one in by_source.items() if (remaining := one.left(now_ms)) is not None
    ]
    skews: list[Sample] = [([name], one.skew_ms / 1000) for name, one in by_source.items()]
    if found.database_now_ms is not None:
        skews.append((["database"], (found.database_now_ms - now_ms) / 1000))
    yield _gauge(
        "receiver_provider_requests_limit",
        "Requests per minute that the API key may make.",
        ["source"],
        limits,
    )
    yield _gauge(
        "receiver_provider_requests_remaining",
        "Requests left to the API key in this window.",
        ["source"],
        left,
    )
    yield from _credits(found)
    yield _gauge(
        "receiver_clock_skew_seconds",
        "A clock minus ours: the database's, or the provider's, by source.",
        ["clock"],
        skews,
    )


def _credits(found: Standing) -> Iterable[Metric]:
    refused = found.credits_refused
    left: list[Sample] = [([one.source], one.left) for one in refused if one.left is not None]
    at: list[Sample] = [([one.source], one.at_ms / 1000) for one in refused]
    yield _gauge(
        "receiver_provider_credits_left",
        "Credits left when the provider last refused a generation for lack of them.",
        ["source"],
        left,
    )
    yield _gauge(
        "receiver_provider_credits_refused_timestamp_seconds",
        "When the provider last refused a generation for lack of credits.",
        ["source"],
        at,
    )


def _by_host(waiting: Sequence[WaitingEvents]) -> list[Sample]:
    events: Counter[str] = Counter()
    for one in waiting:
        if one.asset_host:
            events[one.asset_host] += one.waiting.count
    shown = events.most_common(_HOSTS_SHOWN)
    rest = events.total() - sum(count for _, count in shown)
    return [([host], count) for host, count in [*shown, ("other", rest)]]


def _bucket(one: WaitingEvents, watched: Watched) -> str:
    if one.asset_host is None:
        return ""
    return one.source if one.source in watched.with_own_bucket else COMMON_BUCKET


def _age_s(since_ms: int, now_ms: int) -> float:
    return max(0.0, (now_ms - since_ms) / 1000)


def _gauge(
    name: str,
    meaning: str,
    labels: Sequence[str] = (),
    samples: Iterable[Sample] = (),
    *,
    value: float | None = None,
) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for values, number in samples if value is None else [((), value)]:
        family.add_metric(values, number)
    return family


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
