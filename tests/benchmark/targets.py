"""What is to be reached, and whether it was."""

import statistics
from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.benchmark import contenders, figures
from tests.benchmark.builds import PAST
from tests.benchmark.figures import Figure, values
from tests.benchmark.load import FORGED, NEW
from tests.benchmark.rounds import DUPLICATES, Cell, Measured

BARE: Final = Cell(contenders.BARE, NEW)
_SQLITE: Final = Cell(contenders.SQLITE, NEW)
_POSTGRES: Final = Cell(contenders.POSTGRES, NEW)


class Target(NamedTuple):
    """A bound on the median of a figure of one cell, or of its ratio to that of another in the same round."""

    what: str
    figure: Figure
    cell: Cell
    against: Cell | None
    sign: str
    bound: float

    def row(self, measured: Measured) -> str:
        """Return the bound, what was measured and whether it was reached, as a row."""
        found = values(measured, self.figure, self.cell, self.against)
        median = statistics.median(found)
        reached = median <= self.bound if self.sign == "≤" else median >= self.bound
        answer = "yes" if reached else "**no**"
        return f"| {self.what} | {self.sign} {self.bound:.2f} | {figures.spread(found, 2)} | {answer} |"


def _cost(what: str, cell: Cell, bound: float, against: Cell | None = None) -> Target:
    return Target(f"CPU s per 10,000, {what}", figures.cpu_s, cell, against, "≤", bound)


def _rate(what: str, cell: Cell, bound: float, against: Cell) -> Target:
    return Target(f"requests/s, {what}", figures.rate, cell, against, "≥", bound)


def _p99(what: str, cell: Cell) -> Target:
    return Target(f"p99, {what}, against the bare route", figures.p99_ms, cell, BARE, "≤", 3)


TARGETS: Final = (
    _cost("SQLite", _SQLITE, 0.7),
    _cost(f"SQLite, against {PAST}", _SQLITE, 0.4, Cell(contenders.PAST_SQLITE, NEW)),
    _cost("SQLite, against the bare route", _SQLITE, 2.06, BARE),
    _cost("PostgreSQL with its server", _POSTGRES, 1.0),
    _cost("PostgreSQL with its server, against the bare route", _POSTGRES, 2.94, BARE),
    _rate("SQLite, against the bare route", _SQLITE, 0.45, BARE),
    _rate("PostgreSQL, against the bare route", _POSTGRES, 0.4, BARE),
    _p99("SQLite", _SQLITE),
    _p99("PostgreSQL", _POSTGRES),
    _rate("only duplicates, SQLite, against new ones", Cell(contenders.SQLITE, DUPLICATES), 0.9, _SQLITE),
    _rate(
        "only duplicates, PostgreSQL, against new ones", Cell(contenders.POSTGRES, DUPLICATES), 0.9, _POSTGRES
    ),
    _rate("only forged, SQLite, against new ones", Cell(contenders.SQLITE, FORGED), 1.0, _SQLITE),
    _rate("only forged, PostgreSQL, against new ones", Cell(contenders.POSTGRES, FORGED), 1.0, _POSTGRES),
    _rate("many stored, SQLite, against none", Cell(contenders.STORED_SQLITE, NEW), 0.95, _SQLITE),
    _rate("many stored, PostgreSQL, against none", Cell(contenders.STORED_POSTGRES, NEW), 0.95, _POSTGRES),
)


def rows(measured: Measured) -> Iterator[str]:
    """Yield a row for each target whose cells were measured."""
    for target in TARGETS:
        if {target.cell, target.against or target.cell} <= measured.samples.keys():
            yield target.row(measured)
