"""The figures as tables for docs/performance.md: medians of the rounds, with the lowest and the highest."""

import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.benchmark import figures, targets
from tests.benchmark.figures import spread, values
from tests.benchmark.profile import Profile
from tests.benchmark.rounds import Measured

PAGE: Final = Path(__file__).parents[2] / "docs" / "performance.md"
_LEAST: Final = 0.01
"""Smaller shares of a profile are left out."""
_HEADER: Final = "server|deliveries|requests/s|of bare|CPU s per 10,000|times bare|p50 ms|p99 ms|times bare"


def report(measured: Measured, command: str) -> str:
    """Return what was measured, on what and how, in Markdown."""
    parts = (
        " ".join(_circumstances(measured, command)),
        _table("what|to reach|measured|reached", targets.rows(measured)),
        _table(_HEADER, _cells(measured)),
    )
    return "\n\n".join(parts)


def report_profiles(profiles: Mapping[str, Profile], command: str) -> str:
    """Return where the time goes, by contender, in Markdown."""
    shown = {part for each in profiles.values() for part, share in each.shares.items() if share >= _LEAST}
    rows = []
    for part in sorted(shown, key=lambda part: -sum(each.shares.get(part, 0) for each in profiles.values())):
        shares = " | ".join(f"{each.shares.get(part, 0):.0%}" for each in profiles.values())
        rows.append(f"| {part} | {shares} |")
    said = f"{how(command)}. " + "; ".join(
        f"{name}: interpreter taken {each.busy:.0%} of the time,"
        f" {each.kernel:.0%} of the process's CPU in the kernel"
        for name, each in profiles.items()
    )
    return f"{said}. Parts under {_LEAST:.0%} are left out.\n\n{_table('|'.join(['part', *profiles]), rows)}"


def write(text: str, name: str) -> None:
    """Put *text* into the page, in place of what stood between the two comments that have this *name*."""
    between = re.compile(rf"(?s)(?<=<!-- {name}: begin -->\n).*(?=<!-- {name}: end -->)")
    PAGE.write_text(between.sub(lambda _: f"\n{text}\n\n", PAGE.read_text()))


def _circumstances(measured: Measured, command: str) -> Iterator[str]:
    size = measured.size
    yield f"{how(command)}."
    yield f"Medians of {size.rounds} rounds (lowest to highest);"
    yield f"{size.requests:,} deliveries to each server in each, over {size.connections} connections."
    if measured.stored:
        yield f"Many stored: {measured.stored:,} events."
    load = [value for cell in measured.samples for value in values(measured, figures.load_cpu_s, cell)]
    yield f"The load took {statistics.median(load):.2f} CPU s per 10,000, beside the servers'."
    yield f"Other processes took {measured.others:.0%} of the machine meanwhile."


def _cells(measured: Measured) -> Iterator[str]:
    for cell in measured.samples:
        columns = (
            cell.contender,
            cell.kind,
            spread(values(measured, figures.rate, cell), 0),
            spread(values(measured, figures.rate, cell, targets.BARE), 2),
            spread(values(measured, figures.cpu_s, cell), 2),
            spread(values(measured, figures.cpu_s, cell, targets.BARE), 1),
            spread(values(measured, figures.p50_ms, cell), 1),
            spread(values(measured, figures.p99_ms, cell), 1),
            spread(values(measured, figures.p99_ms, cell, targets.BARE), 1),
        )
        yield f"| {' | '.join(columns)} |"


def _table(header: str, rows: Iterable[str]) -> str:
    names = header.split("|")
    return "\n".join([f"| {' | '.join(names)} |", "|---" * len(names) + "|", *rows])


def how(command: str) -> str:
    """Return what was run on what, and when."""
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return f"`{command}` at {_commit()} on {now}; {_machine()}"


def _commit() -> str:
    words = ["git", "-C", str(PAGE.parent), "describe", "--always", "--dirty= with changes", "--exclude=*"]
    return subprocess.run(words, check=False, capture_output=True, text=True).stdout.strip() or "no commit"


def _machine() -> str:
    models = re.findall(r"(?m)^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text())
    python = f"{platform.python_implementation()} {platform.python_version()}"
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, {python}"
