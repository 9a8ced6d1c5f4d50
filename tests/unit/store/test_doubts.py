"""Leases of calls that ended without an answer."""

import asyncio

import pytest

from receiver.errors import StoreUnavailable
from receiver.store.doubts import Doubts

NO_ANSWER = StoreUnavailable("no answer within 7 s")


class TestDoubts:
    async def test_until_they_are_settled(self) -> None:
        """Whatever comes while others are being settled is not forgotten with them."""
        doubts = Doubts()
        doubts.note(NO_ANSWER, ["first"])
        found = await doubts.some()
        doubts.note(NO_ANSWER, ["second", "third"])
        doubts.settle(found)
        assert await doubts.some() == {"second", "third"}
        doubts.settle({"second", "third"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(doubts.some(), 0.01)
