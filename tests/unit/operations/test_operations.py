"""The loops around what the store does a page at a time."""

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

from receiver import operations
from receiver.operations import Cancelled
from receiver.store.operations import TakenBack

if TYPE_CHECKING:
    from receiver.store import Store

PAGE_S = 0.05


class SlowStore:
    """Takes a while over each of three pages, and notes when it is asked."""

    def __init__(self) -> None:
        self.idle_s: list[float] = []
        self._ended = time.monotonic()

    async def transact(self, _take_back: object, _id: str, **_where: Any) -> TakenBack:
        self.idle_s.append(time.monotonic() - self._ended)
        await asyncio.sleep(PAGE_S)
        self._ended = time.monotonic()
        return TakenBack(500, 0, ("key",), more=len(self.idle_s) < 3)


class TestCancel:
    async def test_leaves_the_database_to_others_as_long(self) -> None:
        """SQLite queues no writers of other processes: webhooks must find it free between two pages."""
        store = SlowStore()
        assert await operations.cancel(cast("Store", store), "id") == Cancelled(1_500, 0)
        assert min(store.idle_s[1:]) >= PAGE_S * 0.9
