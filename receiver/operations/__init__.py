"""Bulk commands of operators: count, start, finish, undo.

The store does each of these a page at a time (`receiver.store.operations`); here are the loops around them.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Final

from receiver import clock
from receiver.events import event_id, normalize
from receiver.store import Store
from receiver.store import operations as stored
from receiver.store.filters import Filter
from receiver.store.operations import Operation, Order
from receiver.store.record import NewEvent
from receiver.store.search import FoundEvent, find_events
from receiver.store.window import Key, Page

VIA: Final = "quarantine"

_ENTROPY_BYTES: Final = 10
_LONGEST_REST_S: Final = 1.0
_LOOK_AGAIN_S: Final = 0.5
_OVERLAP_MS: Final = 30_000
"""How much later than its id an event may be committed: a slow commit, or another machine's clock."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The result of an order, or of a dry run."""

    matched: int
    """Events, deliveries or quarantined bodies that match the filter."""
    changed: int
    """Deliveries or bodies that were changed."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The outcome of a cancelled operation."""

    restored: int
    """Rows that are back in their earlier state."""
    under_way: int
    """Deliveries that a worker still held when we stopped waiting."""


OnPage = Callable[[int, int], None]
"""Called after each page with the numbers matched and changed so far."""


async def count(store: Store, order: Order, progress: OnPage = lambda _matched, _changed: None) -> Counted:
    """Count what *order* would change, page by page. Changes nothing."""
    order = _bounded(order)
    after: Key | None = None
    matched = changed = 0
    async for _ in turns():
        step = await store.transact(stored.rehearse, order, after=after, now_ms=clock.now_ms(), reread=reread)
        after, matched, changed = step.cursor, matched + step.matched, changed + step.changed
        progress(matched, changed)
        if not step.more:
            break
    return Counted(matched, changed)


async def begin(store: Store, order: Order) -> Operation:
    """Record *order* under a new id, for `finish`."""
    begun_ms = clock.now_ms()
    id_ = event_id(begun_ms, secrets.token_bytes(_ENTROPY_BYTES))
    return await store.transact(stored.begin, id_, _bounded(order), now_ms=begun_ms)


async def finish(
    store: Store, id_: str, progress: OnPage = lambda _matched, _changed: None
) -> Operation | None:
    """Do the rest of an operation; return its result, or None if there is no such operation.

    If interrupted, it keeps its progress and can be finished later.
    """
    async for _ in turns():
        operation = await store.advance(id_, now_ms=clock.now_ms(), reread=reread)
        if operation is None or operation.state != "running":
            break
        progress(operation.matched, operation.changed)
    return await store.transact(stored.find_operation, id_)


async def cancel(
    store: Store, id_: str, *, patience_s: float = 0.0, progress: OnPage = lambda _matched, _changed: None
) -> Cancelled | None:
    """Stop an operation and undo undelivered work; None if there is no such operation.

    Deliveries that a worker holds either succeed or fail: wait up to *patience_s* seconds for that.
    """
    restored, after = 0, None
    deadline = time.monotonic() + patience_s
    async for _ in turns():
        page = await store.transact(stored.take_back, id_, after=after, now_ms=clock.now_ms())
        if page is None:
            break
        restored += page.restored
        progress(restored, restored)
        after = page.cursor if page.more else None
        if not page.more and (page.under_way == 0 or time.monotonic() >= deadline):
            return Cancelled(restored, page.under_way)
        if not page.more:
            await asyncio.sleep(_LOOK_AGAIN_S)
    return None


async def follow(
    store: Store, wanted: Filter, *, since_ms: int, poll_s: float = 1.0
) -> AsyncIterator[list[FoundEvent]]:
    """Yield the events that arrived since *since_ms*, and then new ones, oldest first, without end."""
    seen: dict[str, int] = {}
    newest_ms = since_ms
    while True:
        start_ms = max(since_ms, newest_ms - _OVERLAP_MS)
        fresh = [one async for one in every(store, replace(wanted, since_ms=start_ms)) if one.id not in seen]
        seen |= {one.id: one.received_ms for one in fresh}
        newest_ms = max([newest_ms, *seen.values()])
        seen = {id_: at for id_, at in seen.items() if at >= newest_ms - _OVERLAP_MS}
        yield fresh
        await asyncio.sleep(poll_s)


async def every(store: Store, wanted: Filter) -> AsyncIterator[FoundEvent]:
    """Yield all matching events, oldest first."""
    page: Page[FoundEvent] = Page([], None, more=True)
    while page.more:
        page = await store.transact(find_events, wanted, after=page.cursor)
        for event in page.rows:
            yield event


def reread(source: str, body: bytes) -> NewEvent | None:
    """Parse a quarantined body as this release does; None if it still cannot be read."""
    from receiver.receive import entry_of  # noqa: PLC0415  reading lists needs nothing of receiving

    read = normalize(body, source=source)
    entropy = secrets.token_bytes(_ENTROPY_BYTES)
    # As if it arrived now: its asset's patience starts when a worker can fetch it.
    entry = entry_of(read, body, source=source, now_ms=clock.now_ms(), entropy=entropy, via=VIA)
    return entry if isinstance(entry, NewEvent) else None


def _bounded(order: Order) -> Order:
    """Ignore new arrivals, so that this ends on a busy receiver."""
    if order.wanted.until_ms is not None or order.wanted.ids:
        return order
    return replace(order, wanted=replace(order.wanted, until_ms=clock.now_ms() + 1))


async def turns() -> AsyncIterator[None]:
    """Yield endlessly, resting as long as each turn took, so that half of the database's time stays free."""
    while True:
        began = time.monotonic()
        yield
        await asyncio.sleep(min(time.monotonic() - began, _LONGEST_REST_S))
