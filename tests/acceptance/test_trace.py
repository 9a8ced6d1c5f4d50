"""The way from a webhook to its message does not grow unnoticed."""

import re
import subprocess
import sys
from typing import Final

MOST: Final = {"without an asset": (28, 144), "with an asset": (53, 302)}
"""Files and functions of ours. Lower them when they get fewer; who adds a layer has to say why here.

One of each is `tracing.is_on`, the whole price of tracing while it is off, and one writes the date, once a
second. Of those with an asset, eleven read an answer with llhttp, and three look at removals."""
_LINE: Final = re.compile(r"(?m)^(.+): (\d+) files, (\d+) functions$")


def test_files_and_functions_on_the_way() -> None:
    """As `make trace` counts them."""
    argv = [sys.executable, "-m", "tests.benchmark.trace"]
    told = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120).stdout
    found = {name: (int(files), int(functions)) for name, files, functions in _LINE.findall(told)}
    assert found.keys() == MOST.keys()
    over = {name: way for name, way in found.items() if way[0] > MOST[name][0] or way[1] > MOST[name][1]}
    assert not over, told
