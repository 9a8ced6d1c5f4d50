"""Settling: what came of work is written down, once the database takes it."""

import asyncio
from typing import Final

from receiver.errors import StoreUnavailable
from receiver.store import Settlement, Store

PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0)
"""A failover takes less than these, and they less than a lease."""


async def settle(store: Store, settlement: Settlement) -> bool:
    """Write *settlement* down, trying again for some seconds: what is not written is done, and sent, again.

    Returns False where its lease was lost, or it had been written although nobody said so.

    Raises:
        StoreUnavailable: the database fails for longer.
    """
    for pause_s in PAUSES_S:
        try:
            return await store.settle(settlement)
        except StoreUnavailable:
            await asyncio.sleep(pause_s)
    return await store.settle(settlement)
