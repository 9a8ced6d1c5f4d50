"""What `receiver check` finds of every destination, on each real system that is up."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import pytest

from receiver.outcomes import Delivered, Retry
from tests.contract.destination_systems import SYSTEMS
from tests.contract.systems.system import WRONG_SECRET, System

UNASKED: Final = ("http", "eventbridge")
"""Nobody asks for credentials before there is a message."""


@pytest.fixture(params=[name for name in SYSTEMS if name != "pull"])
async def system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    async with SYSTEMS[request.param](request) as opened:
        yield opened


class TestCheck:
    async def test_finds_nothing_wrong_and_sends_nothing(self, system: System) -> None:
        """What works is said to work, twice, and no consumer sees anything."""
        async with contextlib.aclosing(system.connect()) as destination:
            for _ in range(2):
                found = await destination.check()
                assert isinstance(found, Delivered), found
                assert found.receipt
        assert await system.received() == []

    async def test_says_what_is_wrong_with_the_credentials(
        self, system: System, request: pytest.FixtureRequest
    ) -> None:
        """They are refused, and not shown."""
        wrong = system.wrong_credentials()
        if wrong is None or request.node.callspec.params["system"] in UNASKED:
            pytest.skip("nothing is asked for credentials before a message")
        async with contextlib.aclosing(wrong):
            found = await wrong.check()
        assert isinstance(found, Retry), found
        assert WRONG_SECRET not in found.error
