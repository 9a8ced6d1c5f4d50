"""The dialects that contract suites run on, and the rate limit in each, by a clock that the test moves."""

from collections.abc import Iterator
from typing import Any

import pytest

from receiver.sandbox import Dialect, Knobs, ManualClock, Sandbox
from receiver.sandbox.dialect import switches
from tests.contract.provider_clients import KINDS, Make, clients
from tests.contract.sandbox_dialects import DIALECTS


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    with clients(request.param) as make:
        yield make


class TestDialects:
    def test_between_them_reach_every_reading(self) -> None:
        """Each switch has every value that it can have, in some dialect."""
        used: dict[str, set[Any]] = {
            name: {getattr(one, name) for one in DIALECTS.values()} for name in switches()
        }
        assert used == {name: set(readings) for name, readings in switches().items()}


class TestRateLimit:
    @pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
    def test_is_kept_or_waited_out(self, dialect: Dialect, make: Make) -> None:
        """Nobody is refused where it is told; elsewhere a 429 is waited out. Each order is charged once."""
        clock = ManualClock()
        with Sandbox(clock=clock, knobs=Knobs(rate_limit=3), dialect=dialect) as sandbox:
            client = make(sandbox.key(), sandbox.url, clock=clock.now, sleep=clock.advance)
            start = clock.now()
            for _ in range(7):
                client.generate.image("x")
            assert sandbox.charges() == 7
            assert 60 <= clock.now() - start < 300
            refused = sum(seen.status == 429 for seen in sandbox.seen)
            assert refused == 0 or dialect.rate_headers == "never"
