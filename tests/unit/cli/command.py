"""`receiver` as a command in an empty folder, with the settings a test gives it and no others."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers import warm

SECRET: Final = "whsec_0123456789abcdef"
_ROOT: Final = str(Path(__file__).parents[3])
_OURS: Final = ("RECEIVER_", "DATABASE_URL", "PORT")


@dataclass(frozen=True)
class Command:
    """The command, not yet started."""

    folder: Path

    def run(self, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        return warm.run(["receiver", *words], cwd=self.folder, env=environment(settings))

    def run_cold(self, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run it to its end in an interpreter that has imported nothing yet."""
        return subprocess.run(
            [sys.executable, "-m", "receiver", *words],
            cwd=self.folder,
            env=environment(settings),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def started(self, *words: str, **settings: str) -> warm.Process:
        """Run it for as long as the block lasts; it may write a little to either pipe."""
        return warm.start(
            ["receiver", *words],
            cwd=self.folder,
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def wait_for(process: warm.Process, fact: str) -> str:
    """Read the process's log up to the line that states *fact*."""
    assert process.stderr is not None
    read = ""
    for line in process.stderr:
        read += line
        if fact in line:
            return line
    raise AssertionError(f"it never said {fact!r}:\n{read}")


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**inherited, "PYTHONPATH": _ROOT, **settings}
