"""What tests of the command line start from."""

from pathlib import Path

import pytest

from tests.unit.cli.command import Command
from tests.unit.cli.running import ask, knobs, run, sandbox

__all__ = ["ask", "command", "knobs", "run", "sandbox"]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)
