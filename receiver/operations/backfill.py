"""Runs a backfill from first page to last: the deliveries that a new destination has missed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from receiver import clock
from receiver.operations import schemas, turns
from receiver.operations.records import moment, record
from receiver.store import Store
from receiver.store.backfill import Backfilled, Past, Stretch
from receiver.store.fanout import Route


@dataclass(slots=True)
class Tally:
    """The progress of a backfill."""

    events: int = 0
    created: int = 0
    existing: int = 0
    last: str = ""
    """Id of the last event checked."""

    def add(self, page: Backfilled) -> None:
        """Add the counts of a page."""
        self.events += page.events
        self.created += page.created
        self.existing += page.existing
        self.last = page.last


async def run_backfill(
    store: Store, past: Past, tally: Tally, *, route: Route, dry_run: bool = False
) -> AsyncIterator[None]:
    """Make the deliveries that *past* lacks, page by page. Count each in *tally*, and yield before the next.

    A page that is cancelled half-way is finished and counted, because it would be committed anyway.

    Raises:
        StoreUnavailable: finished pages stay; run it again to continue.
    """
    async for _ in turns():
        stretch = Stretch(clock.now_ms(), after=tally.last)
        page = asyncio.ensure_future(store.backfill(past, stretch, route=route, dry_run=dry_run))
        try:
            await asyncio.wait([page])
        finally:
            tally.add(await page)
        if page.result().events < stretch.limit:
            return
        yield


def backfill_record(past: Past, tally: Tally, *, dry_run: bool) -> schemas.Backfill:
    """Return the progress of a backfill."""
    span = {"since": moment(past.since_ms or None), "until": moment(past.until_ms)}
    return record(schemas.Backfill, tally, destination=past.destination, dry_run=dry_run, **span)
