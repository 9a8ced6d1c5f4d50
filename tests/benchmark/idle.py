"""What processes cost that have nothing to do: `python -m tests.benchmark.idle`.

All builds are idle at once, so that they see the same machine: `serve` and `worker` on SQLite, `web` and
`worker` on PostgreSQL, each with one destination and the usual settings.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.acceptance.service import service
from tests.benchmark import builds
from tests.benchmark.builds import WORKING_TREE, Build
from tests.benchmark.cpu import cpu_s
from tests.servers import postgres

_SETTLES_S: Final = 15.0
_COMMANDS: Final = {"SQLite": ("serve", "worker"), "PostgreSQL": ("web", "worker")}


def main() -> None:
    """Measure, and print the share of a core that each process takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long they are watched (default 60)")
    seconds = parser.parse_args().seconds
    with ExitStack() as stack:
        watched = {
            f"{build.name:<14} {database:<11} {command}": pid
            for build in [WORKING_TREE, *filter(None, [builds.past()])]
            for database in _COMMANDS
            for command, pid in _started(stack, build, database)
        }
        time.sleep(_SETTLES_S)
        before = {name: cpu_s(pid) for name, pid in watched.items()}
        time.sleep(seconds)
        for name, pid in watched.items():
            print(f"{name:<36}{(cpu_s(pid) - before[name]) / seconds:>7.2%} of a core")


def _started(stack: ExitStack, build: Build, database: str) -> Iterator[tuple[str, int]]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    settings = {"PYTHONPATH": str(build.folder), "RECEIVER_POLL_S": "1", "RECEIVER_LEASE_S": "60"}
    settings["RECEIVER_DESTINATIONS__MESSAGES__URL"] = "file:messages.jsonl"
    if database == "PostgreSQL":
        settings["RECEIVER_DATABASE_URL"] = stack.enter_context(postgres.running(durable=True)).url
    offered = stack.enter_context(service(folder, python=build.python, **settings))
    offered.run("migrate")
    for command in _COMMANDS[database]:
        yield command, offered.start(command).pid


if __name__ == "__main__":
    main()
