"""The worker's way to a destination: what it gets, at which pace, and when it is left alone."""

import pytest

from receiver.errors import ConfigError
from receiver.wiring.outlets import open_outlet
from tests.unit.wiring.configured import settings


class TestOpenOutlet:
    async def test_has_its_policy(self) -> None:
        """Batches, concurrency and rate are as configured; each destination has a breaker of its own."""
        options = {"url": "stdout:", "batch_size": "7", "concurrency": "3", "rate_limit": "0.5"}
        async with (
            open_outlet(settings(), "a", options) as a,
            open_outlet(settings(), "b", {"url": "stdout:"}) as b,
        ):
            assert (a.max_batch, a.concurrency, b.concurrency, b.rate) == (7, 3, 1, None)
            assert a.rate
            assert a.rate.take(10) == 1
            assert a.breaker is not b.breaker

    async def test_too_large_a_batch_is_refused(self) -> None:
        """A batch that the destination does not take stops the start, by the name of the setting."""
        options = {"url": "https://h.example/x", "batch_size": "9"}
        with pytest.raises(ConfigError, match="DESTINATIONS__A__BATCH_SIZE must be at most 1,"):
            async with open_outlet(settings(), "a", options):
                pass

    async def test_common_options_are_not_the_destinations_own(self) -> None:
        """Routing is taken out before the destination reads its own options, and refuses others."""
        common = {"url": "stdout:", "kinds": "image", "filter": "data.asset", "projection": "asset"}
        async with open_outlet(settings(), "a", common) as outlet:
            assert outlet.name == "a"
        with pytest.raises(ConfigError, match="RECEIVER_DESTINATIONS__A__KIND is not an option"):
            async with open_outlet(settings(), "a", {**common, "kind": "image"}):
                pass
