"""The dialects that suites against the sandbox run on.

Most run on two: the default one, and one in which every switch has another value. The client's own suite runs
on `DIALECTS`, which between them have every value of every switch. `make test-dialects` adds 25 more to both.

What a test may expect can depend on the dialect: `sandbox.dialect` tells its switches.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Final, NamedTuple

import pytest

from receiver.sandbox import Dialect
from receiver.sandbox.dialect import switches
from tests.contract.provider_clients import KINDS

SEEDS: Final = (7, 19, 38, 124, 125, 274)
"""Few dialects that between them have every value of every switch."""
CONTRARY: Final = Dialect(
    **{
        name: next(value for value in values if value != getattr(Dialect(), name))
        for name, values in switches().items()
    }
)
_MORE: Final = {
    f"dialect {seed}": Dialect.random(seed)
    for seed in range(1, 1 + int(os.environ.get("RECEIVER_TEST_DIALECTS", "0")))
}
DIALECTS: Final = {
    "default": Dialect(),
    **{f"dialect {seed}": Dialect.random(seed) for seed in SEEDS},
    **_MORE,
}
TWO: Final = {"default": Dialect(), "contrary": CONTRARY, **_MORE}


class Reading(NamedTuple):
    """One dialect, and the kind of client that meets it."""

    kind: str
    dialect: Dialect


READINGS: Final = {
    f"{kind}, {name}": Reading(kind, dialect)
    for kind, (name, dialect) in zip(cycle(KINDS), [("default", Dialect()), *TWO.items()], strict=False)
}
"""Both kinds of client with the default dialect, and one of them, in turn, with each of the others."""


@pytest.fixture(scope="module", params=TWO.values(), ids=list(TWO))
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Run the test on each of `TWO`."""
    chosen: Dialect = request.param
    return chosen


@pytest.fixture(scope="module", params=READINGS.values(), ids=list(READINGS))
def reading(request: pytest.FixtureRequest) -> Reading:
    """Run the test on each of `TWO`, and with both kinds of client."""
    chosen: Reading = request.param
    return chosen


@pytest.fixture(scope="session")
def undertaker() -> Iterator[ThreadPoolExecutor]:
    """Stop what is told to it beside the tests that follow: a server takes a while, and does nothing then."""
    with ThreadPoolExecutor(4) as pool:
        yield pool
