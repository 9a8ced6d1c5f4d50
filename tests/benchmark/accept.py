"""`python -m tests.benchmark.accept`: what it costs to accept a delivery durably, beside a bare route.

Servers run side by side, each one process: a Starlette route that reads the body and answers (uvicorn with
httptools), `receiver web` on SQLite and on PostgreSQL, both with every commit fsynced, the same over a table
of stored events, and the build of an earlier commit. They take turns, so that all see the same machine. Each
delivery is genuine, new, about 360 bytes and signed by itself; or a duplicate; or forged. An answer of the
wrong status ends the run.

Processor time is the operating system's: of the server with its threads and children, and for PostgreSQL that
of the whole cluster. `receiver web` runs on uvloop, so the bare route on uvloop is its yardstick.

Wants Linux, 10 GB for the stored events in the folder for temporary files (TMPDIR), which must be on a disk,
and a machine that does nothing else.
"""

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from tests.benchmark import builds, contenders, report
from tests.benchmark.builds import WORKING_TREE
from tests.benchmark.contenders import Contender
from tests.benchmark.load import FORGED, NEW
from tests.benchmark.profile import Profile, profile
from tests.benchmark.rounds import DUPLICATES, Cell, Size, measure

_SIZE: Final = Size(rounds=21, requests=4_000, connections=64)
_QUICK: Final = Size(rounds=7, requests=1_000, connections=64)
_STORED: Final = 5_000_000


def main() -> None:
    """Measure, print the tables, and write them into the page if asked to."""
    options = _options()
    if options.profile:
        _finish(report.report_profiles(_profiles(), _command()), "profile", write=options.write)
        return
    stored = 0 if options.quick else options.stored
    with ExitStack() as stack:
        running = _start(stack, stored=stored, quick=options.quick)
        cells = [Cell(name, NEW) for name in running]
        cells += [
            Cell(name, kind)
            for kind in (DUPLICATES, FORGED)
            for name in (contenders.SQLITE, contenders.POSTGRES)
        ]
        measured = measure(running, cells, _size(options))
    _finish(report.report(replace(measured, stored=stored), _command()), "figures", write=options.write)


def _finish(text: str, name: str, *, write: bool) -> None:
    print(text)
    if write:
        report.write(text, name)


def _profiles() -> dict[str, Profile]:
    found = {}
    for name, start in (("SQLite", contenders.on_sqlite), ("PostgreSQL", contenders.on_postgres)):
        with start(WORKING_TREE) as running:
            found[name] = profile(running)
    return found


def _start(stack: ExitStack, *, stored: int, quick: bool) -> dict[str, Contender]:
    started = {
        contenders.BARE: contenders.bare_route("uvloop"),
        contenders.SQLITE: contenders.on_sqlite(WORKING_TREE),
        contenders.POSTGRES: contenders.on_postgres(WORKING_TREE),
    }
    past = builds.past()
    if past:
        started[contenders.PAST_SQLITE] = contenders.on_sqlite(past)
    if past and not quick:
        started[contenders.PAST_POSTGRES] = contenders.on_postgres(past)
    if not quick:
        started[contenders.BARE_ASYNCIO] = contenders.bare_route("asyncio")
    if stored:
        started[contenders.STORED_SQLITE] = contenders.on_sqlite(WORKING_TREE, events=stored)
        started[contenders.STORED_POSTGRES] = contenders.on_postgres(WORKING_TREE, events=stored)
    return {name: stack.enter_context(context) for name, context in started.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.accept",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="under a minute: few requests, nothing stored")
    parser.add_argument("--rounds", type=int, help=f"that count, after one to warm up ({_SIZE.rounds})")
    parser.add_argument("--requests", type=int, help=f"to each server in each round ({_SIZE.requests})")
    parser.add_argument("--connections", type=int, help=f"kept open ({_SIZE.connections})")
    parser.add_argument(
        "--stored", type=int, default=_STORED, metavar="EVENTS", help=f"({_STORED}); 0: leave this out"
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="show which code has the interpreter instead; wants root or ptrace",
    )
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    return parser.parse_args()


def _size(options: argparse.Namespace) -> Size:
    size = _QUICK if options.quick else _SIZE
    told = {name: getattr(options, name) for name in ("rounds", "requests", "connections")}
    return replace(size, **{name: value for name, value in told.items() if value})


def _command() -> str:
    return " ".join(["python -m tests.benchmark.accept", *sys.argv[1:]])


if __name__ == "__main__":
    main()
