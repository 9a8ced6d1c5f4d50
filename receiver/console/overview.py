"""The overview: what is moving, in charts, what is waiting, and what is wrong."""

from collections.abc import Sequence
from typing import Any, Final

import leather
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from receiver import clock
from receiver.admin.parameters import one_of
from receiver.admin.parts import Parts
from receiver.console.history import SPANS, History, Point, Span
from receiver.console.pages import Group, Pages, get
from receiver.operations.records import moment
from receiver.operations.stages import state_of
from receiver.operations.status import rooms
from receiver.store.backlog import COUNTED
from receiver.store.outages import ASSET_HOST, BUCKET
from receiver.telemetry import metrics
from receiver.telemetry.refusals import MINUTES

_WIDTH: Final = 960
_HEIGHT: Final = 340
_SEEN: Final = f"14 52 {_WIDTH - 46} {_HEIGHT - 92}"
"""Cuts off most of the margin, and the legend, because the page has its own."""
_TICKS: Final = 6
_DAY_MS: Final = 24 * 3600 * 1000
SERIES: Final = ("received", "mirrored", "forwarded")


class _Exact(leather.Linear):  # type: ignore[misc]  # it has no types
    """A scale from edge to edge. The library's scales are rounded up and leave room for the future."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__(start, end)
        self._start, self._length = start, end - start

    def project(self, value: int, range_min: float, range_max: float) -> float:
        return range_min + (value - self._start) / self._length * (range_max - range_min)


def rate_chart(points: Sequence[Point], span: Span) -> Markup:
    """Draw what was done per minute. *points* is never empty."""
    chart = leather.Chart()
    for name in SERIES:
        chart.add_line([(one.start_ms, getattr(one, name)) for one in points], name=name)
    top = max((getattr(one, name) for one in points for name in SERIES), default=0) or 1
    step = _step(top)
    ticks = [step * n for n in range(int(-(-top // step)) + 1)]
    chart.add_y_scale(0, ticks[-1])
    chart.add_y_axis(ticks=ticks, tick_formatter=lambda value, _i, _n: f"{value:g}")
    newest_ms = points[-1].start_ms
    chart.set_x_scale(_Exact(newest_ms - (span.buckets - 1) * span.width_ms, newest_ms))
    is_long = span.width_ms * span.buckets > _DAY_MS
    shape = "%d %b" if is_long else "%H:%M"
    every = span.buckets // _TICKS
    chart.add_x_axis(
        ticks=[newest_ms - n * span.width_ms for n in range(span.buckets - 1, -1, -every)],
        tick_formatter=lambda ms, _i, _n: moment(ms).strftime(shape),
    )
    return Markup(_described(chart.to_svg(width=_WIDTH, height=_HEIGHT), span))  # noqa: S704  numbers and times alone


def _described(svg: str, span: Span) -> str:
    plain = f'<svg width="{_WIDTH}" height="{_HEIGHT}"'
    label = f"Received, mirrored and forwarded per minute, last {span.label}; the table below has the figures"
    return svg.replace(plain, f'<svg viewBox="{_SEEN}" role="img" aria-label="{label}"', 1)


def _step(top: float) -> float:
    """Return a round step that gives about four ticks."""
    size = 10.0 ** len(str(int(top))) / 100
    for factor in (1, 2, 5, 10, 20, 50):
        if top / (size * factor) <= 4:  # noqa: PLR2004
            return size * factor
    return size * 100


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
