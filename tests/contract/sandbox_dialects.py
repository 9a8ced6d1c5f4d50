"""The dialects that contract suites run on: the default one, and many at random.

What a test may expect can depend on the dialect: `sandbox.dialect` tells its switches.
"""

from typing import Final

from receiver.sandbox import Dialect

RANDOM_DIALECTS: Final = 25
DIALECTS: Final = {
    "default": Dialect(),
    **{f"dialect {seed}": Dialect.random(seed) for seed in range(1, RANDOM_DIALECTS + 1)},
}
