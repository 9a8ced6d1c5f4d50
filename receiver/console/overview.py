"""The overview: what is moving, what is waiting, and what is wrong."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from receiver import clock
from receiver.admin.parameters import one_of
from receiver.admin.parts import Parts
from receiver.console.charts import rate_chart
from receiver.console.history import SPANS, History
from receiver.console.pages import Group, Pages, get
from receiver.operations.disks import rooms
from receiver.operations.stages import state_of
from receiver.store.backlog import COUNTED
from receiver.store.outages import ASSET_HOST, BUCKET
from receiver.telemetry import metrics
from receiver.telemetry.refusals import MINUTES

_FIRST_LOOK_S: Final = 0.03
_ADDRESSES: Final = 5
_WORKERS: Final = 50
_HOSTS: Final = 20


class Overview(Group):
    """The page, and the part of it that refreshes itself."""

    def __init__(self, parts: Parts, pages: Pages, history: History) -> None:
        super().__init__(parts, pages)
        self._history = history

    @get("")
    async def whole(self, request: Request) -> Response:
        """The whole page."""
        return self._pages.page(request, "overview.html", **await self._found(request))

    @get("/live")
    async def live(self, request: Request) -> Response:
        """The part that is requested every few seconds."""
        return self._pages.page(request, "live.html", **await self._found(request))

    async def _found(self, request: Request) -> dict[str, Any]:
        name = one_of(request, "span", SPANS) or "1h"
        span = SPANS[name]
        now_ms = clock.now_ms()
        seen = await self._parts.overview(now_ms)
        found = seen.standing
        buckets_down = {one.name: one for one in found.down(BUCKET, now_ms)}
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
            "workers": seen.workers[:_WORKERS],
            "is_anyone_alive": any(state == "alive" for _, state in seen.workers),
            "rate_limits": found.rate_limits(self._parts.watched.paces),
            "credits": {one.source: one for one in found.credits_refused},
            "buckets": [(one, buckets_down.get(one.source)) for one in self._parts.addresses],
            "hosts_down": found.down(ASSET_HOST, now_ms)[:_HOSTS],
            "faults": sorted(_faults().items(), key=lambda item: -item[1]),
            "refused": self._parts.refusals.most(_ADDRESSES),
            "minutes": MINUTES,
            "disks": await rooms(self._parts.watched.folders),
            "database_bytes": found.database_bytes,
            "counted": COUNTED,
        }


def _faults() -> dict[str, float]:
    """Return the signature failures seen by this process, by reason."""
    found: dict[str, float] = {}
    for family in metrics.SIGNATURE_FAULTS.collect():
        for sample in family.samples:
            if sample.name.endswith("_total"):
                reason = sample.labels["reason"]
                found[reason] = found.get(reason, 0) + sample.value
    return found
