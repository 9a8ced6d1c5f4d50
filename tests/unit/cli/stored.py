"""A store for the command to look into: what `RECEIVER_DATABASE_URL` names by default."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from receiver.store import Store

T = TypeVar("T")

DESTINATIONS = {
    "RECEIVER_DESTINATIONS__ORDERS__URL": "file:orders.jsonl",
    "RECEIVER_DESTINATIONS__AUDIT__URL": "file:audit.jsonl",
}


def in_store(folder: Path, work: Callable[[Store], Awaitable[T]]) -> T:
    """Do *work* on the store in *folder*, as another process would."""
    store = Store(f"sqlite:///{folder}/data/receiver.db", destinations=("orders", "audit"))
    store.migrate()

    async def working() -> T:
        return await work(store)

    try:
        return asyncio.run(working())
    finally:
        store.close()
