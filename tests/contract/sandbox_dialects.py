"""The dialects that every suite against the sandbox runs on: the default one, and a few at random.

`make test-dialects` runs them on 25 more.

What a test may expect can depend on the dialect: `sandbox.dialect` tells its switches.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import pytest

from receiver.sandbox import Dialect
from tests.contract.provider_clients import KINDS

SEEDS: Final = (7, 19, 38, 124, 125, 274)
"""Few dialects that between them have every value of every switch."""
_MORE: Final = range(1, 1 + int(os.environ.get("RECEIVER_TEST_DIALECTS", "0")))
DIALECTS: Final = {
    "default": Dialect(),
    **{f"dialect {seed}": Dialect.random(seed) for seed in sorted({*SEEDS, *_MORE})},
}


class Reading(NamedTuple):
    """One dialect, and the kind of client that meets it."""

    kind: str
    dialect: Dialect


READINGS: Final = {
    **{f"{kind}, default": Reading(kind, Dialect()) for kind in KINDS},
    **{
        f"{KINDS[seed % 2]}, {name}": Reading(KINDS[seed % 2], dialect)
        for seed, (name, dialect) in enumerate(DIALECTS.items())
        if name != "default"
    },
}
"""Both kinds of client with the default dialect, and one of them, in turn, with each of the others."""


@pytest.fixture(scope="module", params=DIALECTS.values(), ids=list(DIALECTS))
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Run the test on every dialect."""
    chosen: Dialect = request.param
    return chosen


@pytest.fixture(scope="module", params=READINGS.values(), ids=list(READINGS))
def reading(request: pytest.FixtureRequest) -> Reading:
    """Run the test on every dialect, and with both kinds of client."""
    chosen: Reading = request.param
    return chosen


@pytest.fixture(scope="session")
def undertaker() -> Iterator[ThreadPoolExecutor]:
    """Stop what is told to it beside the tests that follow: a server takes a while, and does nothing then."""
    with ThreadPoolExecutor(4) as pool:
        yield pool
