"""The builds of `receiver` that are measured: the working tree, and one of the past."""

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAST: Final = "8ccc6fd"
"""The last commit before the front door was rebuilt."""
_ROOT: Final = Path(__file__).parents[2]
_CACHE: Final = _ROOT / ".venv" / "benchmark"


@dataclass(frozen=True)
class Build:
    """One build, and the interpreter that has what it depends on."""

    name: str
    folder: Path
    python: str


WORKING_TREE: Final = Build("working tree", _ROOT, sys.executable)


def past() -> Build | None:
    """Return the build of `PAST` with the versions of its day, or say why it is left out and return None."""
    archive = subprocess.run(["git", "-C", _ROOT, "archive", PAST], check=False, capture_output=True)
    if archive.returncode:
        _leave_out(f"this clone does not have it ({_last_line(archive.stderr)})")
        return None
    folder = _CACHE / PAST
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tree:
        tree.extractall(folder, filter="data")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(
        ["make", "-C", folder, f"PYTHON={sys.executable}", "setup-run"],
        check=False,
        capture_output=True,
        env=environment,
    )
    if made.returncode:
        _leave_out(f"`make setup-run` failed in {folder} ({_last_line(made.stderr)})")
        return None
    return Build(PAST, folder, f"{folder}/.venv/bin/python")


def _leave_out(why: str) -> None:
    print(f"{PAST} is left out: {why}", file=sys.stderr)


def _last_line(text: bytes) -> str:
    return (text.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
