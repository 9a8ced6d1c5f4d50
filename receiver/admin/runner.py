"""Operations under way in this process: each goes on when its request has long been answered."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from receiver import operations
from receiver.errors import StoreUnavailable
from receiver.store import Store

_PATIENCE_S: Final = 90.0

log = structlog.get_logger()


class Runner:
    """Sees operations through, and cancellations; what is cut off can be resumed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()

    def finish(self, id_: str) -> None:
        """Go on with an operation, in the background."""
        self._start(self._finish(id_))

    def take_back(self, id_: str) -> None:
        """Go on taking an operation back, in the background."""
        self._start(self._take_back(id_))

    async def aclose(self) -> None:
        """Stop where we are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, id_: str) -> None:
        try:
            ended = await operations.finish(self._store, id_)
        except StoreUnavailable as error:
            log.warning("operation interrupted", operation=id_, error=str(error))
        else:
            if ended:
                log.info("operation ended", operation=id_, state=ended.state, changed=ended.changed)

    async def _take_back(self, id_: str) -> None:
        try:
            ended = await operations.cancel(self._store, id_, patience_s=_PATIENCE_S)
        except StoreUnavailable as error:
            log.warning("operation interrupted", operation=id_, error=str(error))
        else:
            if ended:
                log.info(
                    "operation undone", operation=id_, restored=ended.restored, under_way=ended.under_way
                )
