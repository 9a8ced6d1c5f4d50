"""What an operator asks of the store: to look, to do something to many rows, and to take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from receiver.store import measures, operations, search
from receiver.store.wake import FORWARD, MIRROR

if TYPE_CHECKING:
    from collections.abc import Collection

    from receiver.store import Store
    from receiver.store.backlog import Backlog
    from receiver.store.filters import Filter
    from receiver.store.measures import Measures
    from receiver.store.operations import Operation, Order, TakenBack
    from receiver.store.requarantine import Reread
    from receiver.store.resend import Step
    from receiver.store.search import FoundBody, FoundDelivery, FoundEvent
    from receiver.store.window import Key, Page


class Console:
    """Lists and operations over one store, each call one bounded transaction.

    Raises `StoreUnavailable` from every method when the database fails.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def deliveries(
        self, wanted: Filter, *, after: Key | None = None, limit: int = 100, newest_first: bool = False
    ) -> Page[FoundDelivery]:
        """Return some of the matching deliveries, by when their events arrived."""
        return await self._store.transact(
            search.find_deliveries, wanted, after=after, limit=limit, newest_first=newest_first
        )

    async def events(
        self, wanted: Filter, *, after: Key | None = None, limit: int = 100, newest_first: bool = False
    ) -> Page[FoundEvent]:
        """Return some of the matching events, by when they arrived."""
        return await self._store.transact(
            search.find_events, wanted, after=after, limit=limit, newest_first=newest_first
        )

    async def quarantined(
        self, wanted: Filter, *, after: Key | None = None, limit: int = 100, newest_first: bool = False
    ) -> Page[FoundBody]:
        """Return some of the matching quarantined bodies, by when they arrived."""
        return await self._store.transact(
            search.find_quarantined, wanted, after=after, limit=limit, newest_first=newest_first
        )

    async def backlog(self) -> list[Backlog]:
        """Count what waits for each destination."""
        return await self._store.backlog()

    async def measure(self, *, now_ms: int, lease_ms: int, paces: Collection[str]) -> Measures:
        """Return the state of every stage but the deliveries', at a bounded cost."""
        return await self._store.transact(measures.measure, now_ms=now_ms, lease_ms=lease_ms, paces=paces)

    async def event_body(self, id_: str) -> bytes | None:
        """Return the bytes that an event came in."""
        return await self._store.transact(search.body_of_event, id_)

    async def pruned_among(self, ids: Collection[str]) -> list[str]:
        """Return those of the events *ids* whose bodies are gone."""
        return await self._store.transact(search.pruned_among, ids)

    async def quarantined_body(self, id_: str) -> bytes | None:
        """Return the bytes of a quarantined body."""
        return await self._store.transact(search.quarantined_body, id_)

    async def dead_letters(self) -> dict[str, int]:
        """Return how many dead letters each destination has."""
        return await self._store.transact(search.dead_letters)

    async def open_bodies(self) -> int:
        """Return how many quarantined bodies nobody has dealt with."""
        return await self._store.transact(search.open_bodies)

    async def rehearse(self, order: Order, *, after: Key | None, now_ms: int, reread: Reread) -> Step:
        """Return what one page of *order* would come to."""
        return await self._store.transact(
            operations.rehearse, order, after=after, now_ms=now_ms, reread=reread
        )

    async def begin(self, id_: str, order: Order, *, now_ms: int) -> Operation:
        """Write down an operation, for `advance` to do."""
        return await self._store.transact(operations.begin, id_, order, now_ms=now_ms)

    async def advance(self, id_: str, *, now_ms: int, reread: Reread) -> Operation | None:
        """Do one page of an operation; return how far it is, None if there is none of that id."""
        operation = await self._store.transact(operations.advance, id_, now_ms=now_ms, reread=reread)
        self._store.wake.signal(FORWARD)
        self._store.wake.signal(MIRROR)
        return operation

    async def take_back(self, id_: str, *, after: Key | None, now_ms: int) -> TakenBack | None:
        """Cancel an operation and restore one page of what it changed; None if there is none of that id."""
        return await self._store.transact(operations.take_back, id_, after=after, now_ms=now_ms)

    async def operation(self, id_: str) -> Operation | None:
        """Return how far one operation is."""
        return await self._store.transact(operations.find, id_)

    async def operations(self, *, limit: int = 100) -> list[Operation]:
        """Return the operations begun last, the latest first."""
        return await self._store.transact(operations.latest, limit)
