"""SQLite under Litestream: whether it keeps up, and what a restore lacks after the machine is gone.

    python -m tests.field.litestream        prints its rows of docs/field.md

FIELD_BIN names the folder of `litestream`, or it is on the PATH: `go install
github.com/benbjohnson/litestream/cmd/litestream@latest`.
"""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.acceptance.service import MORTAL, kill, service
from tests.field.drill import Report, Ride, run
from tests.field.failover import Load
from tests.servers.require import missing

_A_SECOND: Final = 100
_FOR_S: Final = 20
_AT_MOST_S: Final = 5
"""What a restore may lack: more, and it does not keep up."""


def _program() -> str:
    path = f"{os.environ.get('FIELD_BIN', '')}:{os.environ['PATH']}"
    installer = "go install github.com/benbjohnson/litestream/cmd/litestream@latest"
    return shutil.which("litestream", path=path) or missing(
        "litestream", "no such program", installer=installer
    )


async def _machine_gone(report: Report) -> None:
    for restart, situation in (
        (False, f"{_A_SECOND} deliveries a second, then all is killed, and restored"),
        (True, "the same, and `serve` was killed and started again in the middle"),
    ):
        told, held = await asyncio.to_thread(_restored, restart=restart)
        behind = len(set(told.delivered) - set(held))
        assert behind < _AT_MOST_S * _A_SECOND, f"{behind} behind"
        report.row(situation, told, held, may_lose=True)


def _restored(*, restart: bool) -> tuple[Ride, list[str]]:
    """Deliver, kill everything and restore; return what was answered, and what is there."""
    with (
        tempfile.TemporaryDirectory() as name,
        service(Path(name), python=sys.executable, **MORTAL, RECEIVER_POLL_S="1") as receiver,
    ):
        receiver.run("migrate")
        receiver.start()
        replica = f"file://{name}/replica"
        with subprocess.Popen(
            [_program(), "replicate", f"{name}/receiver.db", replica],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as replicating:
            try:
                load = Load(receiver, _A_SECOND)
                _deliver(load, replicating, restart=restart)
            finally:
                replicating.kill()
        restored = Path(name) / "restored.db"
        subprocess.run([_program(), "restore", "-o", restored, replica], check=True, capture_output=True)
        return load.told, _held(restored)


def _deliver(load: Load, replicating: subprocess.Popen[bytes], *, restart: bool) -> None:
    with load.running():
        time.sleep(_FOR_S / 2)
        if restart:
            kill(load.service.processes[-1])
            load.service.start()
        time.sleep(_FOR_S / 2)
        replicating.kill()
        kill(load.service.processes[-1])


def _held(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        [sound] = connection.execute("PRAGMA integrity_check").fetchone()
        assert sound == "ok", sound
        return [row[0] for row in connection.execute("SELECT generation_id FROM event")]


def _version() -> str:
    told = subprocess.run([_program(), "version"], check=True, capture_output=True, text=True)
    return f"Litestream {told.stdout.strip().removeprefix('v')}"


def main() -> int:
    """Print the rows; return how many are not as they should be."""
    return run("litestream", _version, _machine_gone)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
