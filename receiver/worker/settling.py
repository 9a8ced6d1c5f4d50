"""Settling: what came of work is written down, once the database takes it."""

import asyncio
from collections.abc import Sequence
from typing import Final

from receiver.errors import StoreUnavailable
from receiver.store import ForwardSettlement, Settlement, Store

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


async def settle_all(store: Store, results: Sequence[ForwardSettlement]) -> list[StoreUnavailable | None]:
    """Do the same for what came of deliveries; return, for each, why it could not be written, if so."""
    errors = await store.settle_all(results)
    for pause_s in PAUSES_S:
        left = [number for number, error in enumerate(errors) if error]
        if not left:
            break
        await asyncio.sleep(pause_s)
        again = await store.settle_all([results[number] for number in left])
        for number, error in zip(left, again, strict=True):
            errors[number] = error
    return errors
