"""`make chaos`: hostile clients, restarts under load, and kill -9, each for as long as you like.

Prints what was seen, and ends with status 1 if anything was lost, refused, or too slow for genuine senders.
"""

import argparse
import shutil
import signal
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.acceptance.front import A_SECOND, Load, fronted
from tests.acceptance.service import service
from tests.chaos.costs import costs
from tests.chaos.hostile import ATTACKS, attacked
from tests.chaos.kills import ended
from tests.servers import postgres
from tests.servers.proxies import KINDS
from tests.waiting.blocking import until

P99_MS: Final = 250
MEMORY_MIB: Final = 20
LOG_LINES: Final = 200
RESTARTS: Final = 4
"""Of each of two processes behind a proxy."""
_PROXY_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"


def main() -> None:
    """Run what was asked for."""
    options = _options()
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        if options.seconds:
            faults += hostile(Path(folder) / "hostile", options.seconds)
        if options.posts:
            faults += _refused(Path(folder) / "refused", options.posts)
        if options.rounds:
            faults += sum(_restarted(Path(folder) / kind, kind) for kind in KINDS)
        for how, rounds in ((signal.SIGKILL, options.rounds), (signal.SIGTERM, options.rounds // 5)):
            for database in ("sqlite", "postgresql"):
                faults += _ended(Path(folder) / f"{database}-{how.name}", database, rounds, how)
    sys.exit(1 if faults else 0)


def hostile(folder: Path, seconds: float) -> int:
    """Let each kind of stranger in for *seconds*; return how many kinds genuine senders noticed."""
    folder.mkdir()
    noticed = 0
    with service(folder, python=sys.executable) as web:
        web.run("migrate")
        web.start("web")
        for name in ATTACKS:
            seen = attacked(web, name, seconds=seconds)
            is_fine = (
                set(seen.answers) == {"200"}
                and seen.p99_ms <= P99_MS
                and seen.more_memory_mib <= MEMORY_MIB
                and seen.log_lines <= LOG_LINES
            )
            noticed += not is_fine
            _say(
                f"{name:24} {seen.answers} p99 {seen.p99_ms:6.0f} ms, {seen.more_memory_mib:5.1f} MiB more,"
                f" {seen.log_lines:4} lines",
                is_fine=is_fine,
            )
    return noticed


def _refused(folder: Path, posts: int) -> int:
    """Send so many malformed *posts*; return how many kinds cost more than a genuine delivery."""
    folder.mkdir()
    with service(folder, python=sys.executable) as web:
        web.run("migrate")
        web.start("web")
        found = costs(web, posts)
    for each in found:
        _say(
            f"{each.kind:24} refused {each.refused_s:.2f} CPU s for 10,000, accepted {each.accepted_s:.2f}",
            is_fine=each.refused_s < each.accepted_s,
        )
    return sum(each.refused_s >= each.accepted_s for each in found)


def _restarted(folder: Path, proxy: str) -> int:
    """Restart two processes in turn behind *proxy*; return 1 if a sender noticed."""
    if shutil.which(proxy, path=_PROXY_PATH) is None:
        print(f"{proxy:24} SKIPPED: it is not installed (.ci/run installs it)", flush=True)
        return 0
    folder.mkdir()
    with (
        postgres.running(durable=False) as database,
        fronted(proxy, folder, database) as front,
        Load(front).running() as load,
    ):
        until(lambda: load.answers)
        for _ in range(RESTARTS):
            front.restart_each(load)
    # Senders that cannot keep up would show less than there was.
    is_fine = set(load.answers) == {"200"} and load.rate > 0.95 * A_SECOND
    p99_ms = statistics.quantiles(load.took_s, n=100)[98] * 1000
    _say(
        f"{f'{proxy}, restarts':24} {2 * RESTARTS} restarts, {load.rate:.1f}/s, {dict(load.answers)},"
        f" p99 {p99_ms:.0f} ms",
        is_fine=is_fine,
    )
    return not is_fine


def _ended(folder: Path, database: str, rounds: int, how: signal.Signals) -> int:
    """End processes with *how* that many times; return 1 if anything was lost, or a stop cost a request."""
    if not rounds:
        return 0
    came = ended(folder, database, rounds, how)
    _say(
        f"{f'{database}, {how.name}':24} {came.rounds} rounds, {came.accepted} accepted, lost {came.lost},"
        f" {came.answers}",
        is_fine=came.is_fine,
    )
    return not came.is_fine


def _say(seen: str, *, is_fine: bool) -> None:
    print(seen if is_fine else f"{seen}   <-- over a bound", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="for each kind of stranger; 0: none")
    parser.add_argument("--posts", type=int, default=200_000, help="malformed ones, whose cost is measured")
    parser.add_argument(
        "--rounds", type=int, default=200, help="kill -9, on each database; 0: no kills and no restarts"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
