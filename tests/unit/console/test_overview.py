"""The chart of what was done per minute."""

import re

import pytest

from receiver.console.history import SPANS, Point
from receiver.console.overview import rate_chart

NOW = 1_796_051_760_000


class TestRateChart:
    def test_from_edge_to_edge(self, subtests: pytest.Subtests) -> None:
        """The newest point is at the right edge: there is no room for a future; and every label is a time."""
        for name, span in SPANS.items():
            with subtests.test(name):
                first_ms = NOW - (span.buckets - 1) * span.width_ms
                points = [Point(first_ms + n * span.width_ms, n, n, n) for n in range(span.buckets)]
                svg = str(rate_chart(points, span))
                [width] = {float(x) for x in re.findall(r'x1="-4"[^>]* x2="([\d.]+)"', svg)}
                path = re.findall(r" d=\"M ([\d.]+) .* L ([\d.]+) [\d.]+\"", svg)[0]
                assert [float(x) for x in path] == [0, width]
                assert len(re.findall(r">(?:\d\d:\d\d|\d\d \w{3})</text>", svg)) == 6
