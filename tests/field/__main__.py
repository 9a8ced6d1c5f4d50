"""Everything that this folder tries, one system after the other; ends with 1 if a row is wrong."""

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Final

from tests.field import collector, kafka, litestream, nats, patroni, postgresql, rabbitmq, stores, valkey

_SYSTEMS: Final[dict[str, ModuleType]] = {
    module.__name__.rpartition(".")[2]: module
    for module in (valkey, nats, rabbitmq, kafka, postgresql, patroni, litestream, collector, stores)
}
_EPILOG: Final = "FIELD_DRILLS=killed runs only drills with that in their function's name."


def main(argv: Sequence[str] | None = None) -> int:
    """Return how many rows, or stores, failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.field", description=__doc__, epilog=_EPILOG)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"{', '.join(_SYSTEMS)}; else all")
    told = parser.parse_args(argv)
    if unknown := set(told.systems) - set(_SYSTEMS):
        parser.error(f"no such system: {', '.join(sorted(unknown))}")
    return sum(_SYSTEMS[name].main() for name in told.systems or _SYSTEMS)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
