"""`receiver` as a command in an empty folder, with the settings a test gives it and no others."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECRET: Final = "whsec_0123456789abcdef"
_ROOT: Final = str(Path(__file__).parents[3])
_OURS: Final = ("RECEIVER_", "DATABASE_URL", "PORT")


@dataclass(frozen=True)
class Command:
    """The command, not yet started."""

    folder: Path

    def run(self, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        return subprocess.run(
            [sys.executable, "-m", "receiver", *words],
            cwd=self.folder,
            env=environment(settings),
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )

    @contextmanager
    def started(self, *words: str, **settings: str) -> Iterator["subprocess.Popen[str]"]:
        """Run it for as long as the block lasts."""
        with subprocess.Popen(
            [sys.executable, "-m", "receiver", *words],
            cwd=self.folder,
            env=environment(settings),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def wait_for(process: "subprocess.Popen[str]", fact: str) -> str:
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
