"""Prometheus' own checks, from Debian."""

import shutil
import subprocess
from pathlib import Path

from tests.servers.require import missing


def promtool(*words: str, folder: Path) -> str:
    """Run `promtool WORDS` in *folder*; return what it printed, and fail with that if it finds fault."""
    program = shutil.which("promtool")
    if program is None:
        missing("promtool", "no such program", installer="apt-get install prometheus")
    done = subprocess.run(
        [program, *words], cwd=folder, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
