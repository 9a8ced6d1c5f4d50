"""Charts, drawn by `leather` as SVG. Colours and fonts come from the style sheet."""

from collections.abc import Sequence
from typing import Final

import leather
from markupsafe import Markup

from receiver.console.history import Point, Span
from receiver.operations.records import moment

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
