"""`make bench`: all that is measured, a part after the other, each beside the build of an earlier commit.

`BENCH_ARGS="--only PART"` runs one part, with whatever options follow: `--only latency --rate 400`. Each is a
program of its own, which says with `--help` what it measures. Wants a machine that does nothing else.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

PARTS: Final[Mapping[str, Sequence[str]]] = {
    "accept": ("",),
    "drain": ("", "--database postgresql", "--database postgresql --workers 3", "--destination http"),
    "latency": ("", "--http", "--database postgresql --processes two", "--picture --rounds 1"),
    "mirror": ("",),
    "growth": ("--database sqlite", "--database postgresql"),
    "commands": ("",),
    "idle": ("",),
}
"""With the options that each is run with."""


def main() -> None:
    """Run the parts; end with the status of the first that failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", nargs=argparse.REMAINDER, help=f"one of {', '.join(PARTS)}, and its options", default=[]
    )
    only = parser.parse_args().only
    if only and only[0] not in PARTS:
        parser.error(f"there is no part {only[0]!r}: choose {', '.join(PARTS)}")
    runs = {only[0]: [only[1:]]} if only[1:] else {part: _usual(part) for part in only or PARTS}
    for part, each in runs.items():
        for words in each:
            print(f"\n## {' '.join([part, *words])}\n", flush=True)
            ended = subprocess.run([sys.executable, "-m", f"tests.benchmark.{part}", *words], check=False)
            if ended.returncode:
                sys.exit(ended.returncode)


def _usual(part: str) -> Sequence[Sequence[str]]:
    return [words.split() for words in PARTS[part]]


if __name__ == "__main__":
    main()
