"""What is read off the rounds: figures of one cell, and how they compare with another's in the same round."""

import statistics
from collections.abc import Callable, Sequence
from typing import Final

from tests.benchmark.rounds import Cell, Measured, Sample

Figure = Callable[[Sample], float]

_PER: Final = 10_000


def rate(sample: Sample) -> float:
    """Requests per second."""
    return sample.load.per_s


def cpu_s(sample: Sample) -> float:
    """Processor seconds of the server per 10,000 requests."""
    return sample.cpu_s / sample.load.requests * _PER


def load_cpu_s(sample: Sample) -> float:
    """Processor seconds of the load per 10,000 requests."""
    return sample.load.cpu_s / sample.load.requests * _PER


def p50_ms(sample: Sample) -> float:
    """Half of the answers came within so many milliseconds."""
    return sample.load.p50_ms


def p99_ms(sample: Sample) -> float:
    """99 of 100 answers came within so many milliseconds."""
    return sample.load.p99_ms


def values(measured: Measured, figure: Figure, cell: Cell, against: Cell | None = None) -> list[float]:
    """Return the *figure* of each round of *cell*, or its ratio to that of *against* in the same round."""
    found = [figure(sample) for sample in measured.samples[cell]]
    if against is None:
        return found
    return [one / other for one, other in zip(found, values(measured, figure, against), strict=True)]


def spread(found: Sequence[float], digits: int) -> str:
    """Write the median, the lowest and the highest."""
    median, low, high = (f"{one:,.{digits}f}" for one in (statistics.median(found), min(found), max(found)))
    return f"{median} ({low} to {high})"
