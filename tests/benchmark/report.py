"""The figures as tables for docs/performance.md: medians of the rounds, with the lowest and the highest."""

import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.benchmark import figures, targets
from tests.benchmark.figures import spread, values
from tests.benchmark.rounds import Measured

PAGE: Final = Path(__file__).parents[2] / "docs" / "performance.md"
_HEADER: Final = "server|deliveries|requests/s|of bare|CPU s per 10,000|the load's|p50 ms|p99 ms|times bare"


def report(measured: Measured, command: str) -> str:
    """Return what was measured, on what and how, in Markdown."""
    parts = (
        " ".join(_circumstances(measured, command)),
        _table("what|to reach|measured|reached", targets.rows(measured)),
        _table(_HEADER, _cells(measured)),
    )
    return "\n\n".join(parts)


def write(text: str, name: str) -> None:
    """Put *text* into the page, in place of what stood between the two comments that have this *name*."""
    between = re.compile(rf"(?s)(?<=<!-- {name}: begin -->\n).*(?=<!-- {name}: end -->)")
    PAGE.write_text(between.sub(lambda _: f"\n{text}\n\n", PAGE.read_text()))


def _circumstances(measured: Measured, command: str) -> Iterator[str]:
    size = measured.size
    yield f"`{command}` at {_commit()} on {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}; {_machine()}."
    yield f"Medians of {size.rounds} rounds (lowest to highest);"
    yield f"{size.requests:,} deliveries to each server in each, over {size.connections} connections."
    if measured.stored:
        yield f"Many stored: {measured.stored:,} events."
    yield f"Other processes took {measured.others:.0%} of the machine meanwhile."


def _cells(measured: Measured) -> Iterator[str]:
    for cell in measured.samples:
        columns = (
            cell.contender,
            cell.kind,
            spread(values(measured, figures.rate, cell), 0),
            spread(values(measured, figures.rate, cell, targets.BARE), 2),
            spread(values(measured, figures.cpu_s, cell), 2),
            f"{statistics.median(values(measured, figures.load_cpu_s, cell)):.2f}",
            spread(values(measured, figures.p50_ms, cell), 1),
            spread(values(measured, figures.p99_ms, cell), 1),
            spread(values(measured, figures.p99_ms, cell, targets.BARE), 1),
        )
        yield f"| {' | '.join(columns)} |"


def _table(header: str, rows: Iterator[str]) -> str:
    names = header.split("|")
    return "\n".join([f"| {' | '.join(names)} |", "|---" * len(names) + "|", *rows])


def _commit() -> str:
    words = ["git", "-C", str(PAGE.parent), "describe", "--always", "--dirty= with changes", "--exclude=*"]
    return subprocess.run(words, check=False, capture_output=True, text=True).stdout.strip() or "no commit"


def _machine() -> str:
    models = re.findall(r"(?m)^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text())
    python = f"{platform.python_implementation()} {platform.python_version()}"
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, {python}"
