"""`python -m tests.benchmark.commands`: the processor's time of operators' commands, beside an earlier build.

Each round runs every command once with each build, on an empty database of its own, so that all see the same
machine. A bare interpreter shows the machine, and one that imports SQLAlchemy the floor.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.benchmark.builds import WORKING_TREE, Build, past

COMMANDS: Final = (
    "--version",
    "--help",
    "events list",
    "events list --state pending",
    "deliveries list --state dead",
    "destinations list",
)
_FLOORS: Final = ("pass", "import click, asyncio, sqlalchemy")


def main() -> None:
    """Run the rounds; print lowest and median milliseconds of each command with each build, and the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10, help="runs of each command (default 10)")
    rounds = parser.parse_args().rounds
    before = past()
    builds = [WORKING_TREE, *([before] if before else [])]
    taken: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for floor in _FLOORS:
                taken.setdefault((floor, ""), []).append(_ms([sys.executable, "-c", floor], Path(folder)))
            for command in COMMANDS:
                for build in builds:
                    spent = _ms(_argv(build, command), Path(folder) / build.name)
                    taken.setdefault((command, build.name), []).append(spent)
    print(f"{'command':<36}{'build':<15}{'lowest':>9}{'median':>9}{'ratio':>8}")
    for (command, name), each in taken.items():
        first = min(taken[command, WORKING_TREE.name]) if name else min(each)
        figures = f"{min(each):>6.0f} ms{statistics.median(each):>6.0f} ms{min(each) / first:>8.2f}"
        print(f"{command:<36}{name:<15}{figures}")


def _argv(build: Build, command: str) -> list[str]:
    return [build.python, "-m", "receiver", *command.split()]


def _ms(argv: list[str], folder: Path) -> float:
    """Run a command to its end in *folder*; return its milliseconds in user and kernel mode."""
    folder.mkdir(exist_ok=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RECEIVER_")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, cwd=folder, env=environ, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


if __name__ == "__main__":
    main()
