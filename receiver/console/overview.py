"""The overview: what flows, what waits, and what is wrong."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import Counter, Gauge
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver import clock
from receiver.console.charts import rate_chart
from receiver.console.guard import HOME
from receiver.console.history import SPANS, History
from receiver.console.pages import Pages
from receiver.console.parts import Parts
from receiver.store.rates import count_delivered, count_done
from receiver.store.standing import COUNTED, DestinationStanding, Standing, Waiting, standing
from receiver.telemetry import metrics
from receiver.telemetry.refusals import MINUTES

_LATELY_MS: Final = 5 * 60_000
"""What "the present rate" is taken from."""
_FIRST_LOOK_S: Final = 0.03
_ADDRESSES: Final = 5
_PROBE_MAY_TAKE_MS: Final = 120_000
"""A breaker that was to probe longer ago is of a worker that is gone."""
_WORKER_GONE_MS: Final = 3 * 60_000


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of what waits."""

    name: str
    waiting: Waiting
    per_minute: float

    @property
    def is_capped(self) -> bool:
        """Whether there may be more than was counted."""
        return self.waiting.count >= COUNTED

    @property
    def gone_s(self) -> float | None:
        """Seconds until nothing waits at the present rate, if nothing new came; None where none is done."""
        if not self.waiting.count or not self.per_minute:
            return None
        return self.waiting.count / self.per_minute * 60


class Overview:
    """The page, and the part of it that renews itself."""

    def __init__(self, parts: Parts, pages: Pages, history: History) -> None:
        self._parts = parts
        self._pages = pages
        self._history = history

    def routes(self) -> list[Route]:
        """Return every route."""
        return [
            Route(HOME, self.whole, methods=["GET"]),
            Route(f"{HOME}/live", self.live, methods=["GET"]),
        ]

    async def whole(self, request: Request) -> Response:
        """The whole page."""
        return self._pages.page(request, "overview.html", **await self._found(request))

    async def live(self, request: Request) -> Response:
        """What is asked for every few seconds."""
        return self._pages.page(request, "live.html", **await self._found(request))

    async def _found(self, request: Request) -> dict[str, Any]:
        name = request.query_params.get("span", "1h")
        name, span = (name, SPANS[name]) if name in SPANS else ("1h", SPANS["1h"])
        now_ms = clock.now_ms()
        found, stages = await self._parts.store.transact(_look, tuple(self._parts.targets), now_ms)
        points = self._history.points(span)
        if not points:
            await self._history.settle(_FIRST_LOOK_S)
            points = self._history.points(span)
        return {
            "now_ms": now_ms,
            "span_name": name,
            "spans": SPANS,
            "points": points,
            "is_whole": self._history.is_whole(span),
            "chart": rate_chart(points, span) if points else None,
            "stages": stages,
            "hosts": found.hosts,
            "destinations": [
                (one, state_of(one, now_ms, is_configured=one.name in self._parts.targets))
                for one in found.destinations
            ],
            "kinds": {name: target.kind for name, target in self._parts.targets.items()},
            "quarantined": found.quarantined,
            "spools": [(one, now_ms - one.seen_ms < _WORKER_GONE_MS) for one in found.spools],
            "allowances": found.allowances,
            "buckets": [(one, _bucket_state(one.source)) for one in self._parts.addresses],
            "hosts_away": _value(metrics.ASSET_HOSTS_AWAY),
            "faults": sorted(_faults().items(), key=lambda item: -item[1]),
            "refused": self._parts.refusals.most(_ADDRESSES),
            "minutes": MINUTES,
            "disks": list(self._disks()),
            "database_bytes": found.database_bytes,
            "counted": COUNTED,
        }

    def _disks(self) -> Iterator[tuple[str, int, int]]:
        for name, folder in self._parts.folders.items():
            while not folder.exists() and folder != folder.parent:
                folder = folder.parent  # noqa: PLW2901  the disk it will be on
            usage = shutil.disk_usage(folder)
            yield name, usage.free, usage.total


def state_of(one: DestinationStanding, now_ms: int, *, is_configured: bool) -> str:
    """Say in a word how a destination is doing."""
    if one.paused_ms is not None:
        return "paused"
    if not is_configured:
        return "not configured"
    if one.probe_ms is not None and one.probe_ms > now_ms - _PROBE_MAY_TAKE_MS:
        return "down"
    return "running"


def _look(
    connection: Connection, configured: tuple[str, ...], now_ms: int
) -> tuple[Standing, Sequence[Stage]]:
    found = standing(connection, configured)
    since_ms = now_ms - _LATELY_MS
    minutes = _LATELY_MS / 60_000
    mirrored = count_done(connection, since_ms=since_ms, until_ms=now_ms).mirrored
    forwarding = [
        Stage(
            f"Forwarding to {one.name}",
            one.waiting,
            count_delivered(connection, one.name, since_ms, now_ms) / minutes,
        )
        for one in found.destinations
    ]
    return found, [
        Stage("Mirroring", found.mirroring, mirrored / minutes),
        Stage("Late assets", found.late, 0.0),
        *forwarding,
    ]


def _bucket_state(source: str) -> str:
    states = {
        sample.labels["source"]: sample.value
        for family in metrics.BUCKET_AWAY.collect()
        for sample in family.samples
    }
    away = states.get(source)
    if away is None:
        return "no worker in this process" if not states else "answers"
    return "down" if away else "answers"


def _faults() -> dict[str, float]:
    """Return the signature failures that this process has seen, by reason."""
    found: dict[str, float] = {}
    for family in metrics.SIGNATURE_FAULTS.collect():
        for sample in family.samples:
            if sample.name.endswith("_total"):
                reason = sample.labels["reason"]
                found[reason] = found.get(reason, 0) + sample.value
    return found


def _value(metric: Counter | Gauge) -> float:
    return next((sample.value for family in metric.collect() for sample in family.samples), 0.0)
