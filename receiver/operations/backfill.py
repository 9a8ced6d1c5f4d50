"""Backfills, page by page: what a destination has missed."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from receiver import clock
from receiver.events import event_ms
from receiver.operations import schemas
from receiver.operations.records import moment
from receiver.store import Route, Store
from receiver.store.backfill import Backfilled, Past, Stretch


@dataclass(slots=True)
class Tally:
    """What was done so far."""

    events: int = 0
    made: int = 0
    there: int = 0
    is_capped: bool = False
    """Whether it ended before the last event, because no more were to be looked at."""

    def add(self, page: Backfilled) -> None:
        """Count one page in."""
        self.events += page.events
        self.made += page.made
        self.there += page.there


class Told(Protocol):
    """Called after each page."""

    def __call__(self, tally: Tally, *, share: float) -> None:
        """Show *tally*; *share* of the time asked for was looked at, 0 to 1."""
        ...


def _untold(tally: Tally, *, share: float) -> None:
    """Tell nobody."""


async def backfill(
    store: Store,
    past: Past,
    route: Route,
    tally: Tally,
    *,
    dry_run: bool = False,
    most: int | None = None,
    told: Told = _untold,
) -> None:
    """Make the missing deliveries, or count them, and *tally* them; look at *most* events, None: at all.

    Cut short, it ends with the page under way; begun again, it finds what is there.
    """
    stretch, first_ms = Stretch(clock.now_ms()), past.since_ms
    while True:
        began = time.monotonic()
        done = await _page(store.backfill(past, stretch, route=route, dry_run=dry_run), tally)
        if done.events < stretch.limit:
            return
        if most is not None and tally.events >= most:
            tally.is_capped = True
            return
        first_ms = first_ms or event_ms(done.last)
        told(tally, share=(event_ms(done.last) - first_ms) / max(past.until_ms - first_ms, 1))
        stretch = Stretch(clock.now_ms(), after=done.last)
        # SQLite has one writer at a time and no queue for it: others must find it free.
        await asyncio.sleep(time.monotonic() - began)


def backfill_record(past: Past, tally: Tally, *, dry_run: bool) -> schemas.Backfill:
    """Return how far a backfill is."""
    return {
        "destination": past.destination,
        "since": moment(past.since_ms or None),
        "until": moment(past.until_ms),
        "events": tally.events,
        "made": tally.made,
        "there": tally.there,
        "dry_run": dry_run,
    }


async def _page(work: Coroutine[Any, Any, Backfilled], tally: Tally) -> Backfilled:
    """Count one page in, also the one that Ctrl-C finds half-way: it is committed all the same."""
    page = asyncio.ensure_future(work)
    try:
        await asyncio.wait([page])
    finally:
        tally.add(await page)
    return page.result()
