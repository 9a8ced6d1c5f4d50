"""The overview: what flows, what waits, and what is wrong."""

import shutil
from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import Counter, Gauge
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver import clock
from receiver.admin.parts import Parts
from receiver.console.charts import rate_chart
from receiver.console.guard import HOME
from receiver.console.history import SPANS, History
from receiver.console.pages import Pages
from receiver.operations.stages import WORKER_GONE_MS, overview, state_of
from receiver.store.backlog import COUNTED
from receiver.telemetry import metrics
from receiver.telemetry.refusals import MINUTES

_FIRST_LOOK_S: Final = 0.03
_ADDRESSES: Final = 5
_SPOOLS: Final = 50


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
        names = tuple(self._parts.targets)
        seen = await self._parts.store.transact(overview, names, now_ms=now_ms)
        found = seen.standing
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
            "stages": seen.stages,
            "hosts": found.hosts,
            "destinations": [
                (one, state_of(one, now_ms, is_configured=one.name in self._parts.targets))
                for one in found.destinations
            ],
            "kinds": {name: target.kind for name, target in self._parts.targets.items()},
            "quarantined": found.quarantined,
            "spools": [(one, now_ms - one.seen_ms < WORKER_GONE_MS) for one in found.spools[:_SPOOLS]],
            "rate_limits": found.rate_limits(self._parts.watched.paces),
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
