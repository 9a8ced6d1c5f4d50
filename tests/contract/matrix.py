"""Print which case of the destination contract holds on which system: `make matrix`.

The table is docs/destinations/conformance.md, written anew from the run when every case held.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

PAGE: Final = Path(__file__).parents[2] / "docs/destinations/conformance.md"
SUITE: Final = Path(__file__).with_name("test_destinations.py")
_TEST: Final = re.compile(r"::test_(\w+)\[([\w-]+)\]$")
_SIGNS: Final = {"passed": "✓", "failed": "✗", "skipped": "skipped"}


class Matrix:
    """Collects the outcome of each case on each system while pytest runs."""

    def __init__(self) -> None:
        self._cells: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of the call, or of a set-up that ended it."""
        found = _TEST.search(report.nodeid)
        if found and (report.when == "call" or report.outcome != "passed"):
            sign = "n/a" if ("applies", False) in report.user_properties else _SIGNS[report.outcome]
            self._cells[found[1].replace("_", " ")][found[2]] = sign

    def table(self) -> str:
        """Return the outcomes as a table of Markdown: a row for each case, a column for each system."""
        systems = list(dict.fromkeys(system for row in self._cells.values() for system in row))
        lines = ["", *systems], ["---", *[":-:"] * len(systems)]
        rows = [[case, *(row.get(system, " ") for system in systems)] for case, row in self._cells.items()]
        return "".join(f"| {' | '.join(line)} |\n" for line in (*lines, *rows))


def main() -> int:
    """Run the suite, print the table, and keep it if every case held on every system."""
    matrix = Matrix()
    status = int(pytest.main(["-q", str(SUITE)], plugins=[matrix]))
    table = matrix.table()
    print(f"\n{table}")  # noqa: T201  the table is what this command is for
    if status == 0:
        head, mark, _ = PAGE.read_text().partition("\n| ")
        assert mark, f"no table in {PAGE}"
        PAGE.write_text(f"{head}\n{table}")
    return status


if __name__ == "__main__":
    sys.exit(main())
