"""`python -m tests.benchmark.imports`: what `import receiver.client` costs, beside httpx2 and asyncio.

Each round starts one new interpreter per module, so that all see the same machine. Counted is the processor's
time for the import alone, not the interpreter's own start.
"""

import argparse
import os
import statistics
import subprocess
import sys

MODULES = "receiver.client", "httpx2", "asyncio"


def main() -> None:
    """Run the rounds and print lowest and median milliseconds, and the ratio to the first module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30, help="interpreters started per module (default 30)")
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {module: [] for module in MODULES}
    for _ in range(rounds):
        for module in MODULES:
            taken[module].append(import_ms(module))
    least = min(taken[MODULES[0]])
    print(f"{'import':<18}{'lowest':>9}{'median':>9}{'ratio':>8}")
    for module, each in taken.items():
        print(f"{module:<18}{min(each):>6.0f} ms{statistics.median(each):>6.0f} ms{min(each) / least:>8.2f}")


def import_ms(module: str) -> float:
    """Import *module* in an interpreter of its own."""
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=os.environ, check=True)
    return float(run.stdout) * 1000


if __name__ == "__main__":
    main()
