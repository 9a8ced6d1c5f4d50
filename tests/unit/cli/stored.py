"""A store for the command to look into: what `RECEIVER_DATABASE_URL` names by default."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from receiver.store import Store
from tests.stored import migrated

T = TypeVar("T")

DESTINATIONS = {
    "RECEIVER_DESTINATIONS__ORDERS__URL": "file:orders.jsonl",
    "RECEIVER_DESTINATIONS__AUDIT__URL": "file:audit.jsonl",
}


def in_store(folder: Path, work: Callable[[Store], Awaitable[T]]) -> T:
    """Do *work* on the store in *folder*, as another process would."""
    path = folder / "data/receiver.db"
    url = f"sqlite:///{path}" if path.exists() else migrated(path)
    store = Store(url, destinations=("orders", "audit"))

    async def working() -> T:
        return await work(store)

    try:
        return asyncio.run(working())
    finally:
        store.close()
