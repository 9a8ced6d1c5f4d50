"""Programs that are to end by themselves, although something in them hangs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_GENEROUS_S: Final = 60


def ends(program: str, *arguments: str) -> bool:
    """Whether the Python *program* ends in good order; fail if it does not end at all."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        check=False,
        timeout=_GENEROUS_S,
    )
    return done.returncode == 0
