"""Curves as a picture in SVG, which a page of the documentation shows as it is."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

Curve = Sequence[tuple[float, float]]

_WIDTH: Final = 720
_HEIGHT: Final = 360
_LEFT: Final = 64
_RIGHT: Final = 190
_TOP: Final = 24
_BOTTOM: Final = 48
_COLOURS: Final = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")


def draw(curves: Mapping[str, Curve], *, across: str, up: str) -> str:
    """Return *curves* of points above zero, by name; logarithmic axes, called *across* and *up*."""
    points = [point for curve in curves.values() for point in curve]
    x_axis, y_axis = (_Axis([point[number] for point in points]) for number in (0, 1))
    parts = [*_grid(x_axis, y_axis), *_words(across, up)]
    for number, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [(_x(x_axis.share(x)), _y(y_axis.share(y))) for x, y in curve]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(
            _text(_WIDTH - _RIGHT + 16, _TOP + 16 + 20 * number, name, colour=colour, anchor="start")
        )
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect {size} fill="#ffffff"/>', *parts, "</svg>\n"])


class _Axis:
    """From the 1, 2 or 5 of some decade below the least value to that above the greatest."""

    def __init__(self, values: Sequence[float]) -> None:
        steps = [step * 10.0**decade for decade in range(-3, 7) for step in (1, 2, 5)]
        self._low = max(step for step in steps if step <= max(min(values), steps[0]))
        self._high = min(step for step in steps if step >= max(values) and step > self._low)
        self.marks = [step for step in steps if self._low <= step <= self._high]

    def share(self, value: float) -> float:
        """Return where *value* is, from 0 to 1."""
        value = max(value, self._low)
        return math.log(value / self._low) / math.log(self._high / self._low)


def _grid(x_axis: _Axis, y_axis: _Axis) -> list[str]:
    parts = []
    for mark in x_axis.marks:
        x = _x(x_axis.share(mark))
        parts += [_line(x, _TOP, x, _HEIGHT - _BOTTOM), _text(x, _HEIGHT - _BOTTOM + 16, f"{mark:g}")]
    for mark in y_axis.marks:
        y = _y(y_axis.share(mark))
        parts += [_line(_LEFT, y, _WIDTH - _RIGHT, y), _text(_LEFT - 8, y + 4, f"{mark:g}", anchor="end")]
    return parts


def _words(across: str, up: str) -> list[str]:
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return [_text(middle, _HEIGHT - 10, across), _text(_LEFT, _TOP - 10, up, anchor="start")]


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _RIGHT - _LEFT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#d0d7de"/>'


def _text(x: float, y: float, words: str, *, colour: str = "#24292f", anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{words}</text>'
