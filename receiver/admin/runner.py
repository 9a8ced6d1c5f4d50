"""Operations in progress in this process, which continue after their requests are answered."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from receiver import operations
from receiver.errors import StoreUnavailable
from receiver.operations import schemas
from receiver.operations.backfill import Tally, backfill_record, run_backfill
from receiver.operations.pruning import Retention, prune_all
from receiver.store import Store
from receiver.store.backfill import Past
from receiver.store.fanout import Route

_PATIENCE_S: Final = 90.0

log = structlog.get_logger()


class Runner:
    """Runs operations and cancellations to their end; interrupted ones can be resumed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()
        self.backfills: dict[str, schemas.Progress] = {}
        """Progress of the latest backfill of each destination."""
        self.pruning: schemas.Pruning = {"state": "never", "dry_run": False, "rows": {}}
        """Progress of pruning."""

    def finish(self, id_: str) -> None:
        """Continue an operation, in the background."""
        self._start(self._finish(id_))

    def take_back(self, id_: str) -> None:
        """Continue to undo an operation, in the background."""
        self._start(self._take_back(id_))

    def backfill(self, past: Past, route: Route) -> schemas.Progress:
        """Backfill a destination in the background, unless that is in progress; return the progress."""
        name, under_way = past.destination, self.backfills.get(past.destination)
        if under_way is None or under_way["state"] != "running":
            self.backfills[name] = progress(past, Tally(), "running")
            self._start(self._backfill(past, route))
        return self.backfills[name]

    def prune(self, retention: Retention) -> schemas.Pruning:
        """Prune in the background, unless that is in progress; return the progress."""
        if self.pruning["state"] != "running":
            self.pruning = {"state": "running", "dry_run": False, "rows": {}}
            self._start(self._prune(retention))
        return self.pruning

    async def aclose(self) -> None:
        """Stop at once; everything can be resumed."""
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

    async def _backfill(self, past: Past, route: Route) -> None:
        name, tally, state = past.destination, Tally(), "interrupted"

        try:
            async for _ in run_backfill(self._store, past, tally, route=route):
                self.backfills[name] = progress(past, tally, "running")
            state = "done"
        except StoreUnavailable as error:
            log.warning("backfill interrupted", destination=name, error=str(error))
        finally:
            self.backfills[name] = progress(past, tally, state)

    async def _prune(self, retention: Retention) -> None:
        rows, state = dict[str, int](), "interrupted"
        try:
            rows, state = await prune_all(self._store, retention), "done"
        except StoreUnavailable as error:
            log.warning("not pruned", error=str(error))
        finally:
            self.pruning = {"state": state, "dry_run": False, "rows": rows}


def progress(past: Past, tally: Tally, state: str, *, dry_run: bool = False) -> schemas.Progress:
    """Return the progress of a backfill."""
    record = backfill_record(past, tally, dry_run=dry_run)
    return {**record, "state": state, "is_capped": False}
