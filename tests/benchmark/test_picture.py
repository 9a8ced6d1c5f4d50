"""The picture of curves, and the parts that `make bench` runs."""

from importlib.util import find_spec
from xml.etree import ElementTree as ET

import pytest

from tests.benchmark.bench import PARTS
from tests.benchmark.picture import draw

_SVG = "{http://www.w3.org/2000/svg}"


def test_curves_lie_within_the_axes() -> None:
    """Greater values are further right and further up; a curve has one point for each measurement."""
    curves = {"now": [(10, 0.7), (100, 3.0), (800, 250.0)], "before": [(10, 14.0), (800, 2_000.0)]}
    picture = ET.fromstring(draw(curves, across="a second", up="ms"))
    now, before = (
        [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        for line in picture.iter(f"{_SVG}polyline")
    )
    assert (len(now), len(before)) == (3, 2)
    assert [x for x, _ in now] == sorted(x for x, _ in now)
    assert [y for _, y in now] == sorted((y for _, y in now), reverse=True)
    assert before[0][0] == now[0][0]
    width, height = (float(picture.attrib[name]) for name in ("width", "height"))
    assert all(0 < x < width and 0 < y < height for x, y in (*now, *before))
    words = [text.text for text in picture.iter(f"{_SVG}text")]
    assert {"now", "before", "a second", "ms", "10", "1000"} <= set(words)


@pytest.mark.parametrize("part", PARTS)
def test_parts_are_programs(part: str) -> None:
    """Each can be run by its name."""
    assert find_spec(f"tests.benchmark.{part}")
