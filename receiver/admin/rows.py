"""Events, deliveries, quarantined bodies, and the operations on them."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from receiver import clock, operations
from receiver.admin import answers
from receiver.admin import parameters as asked
from receiver.admin.deeds import note
from receiver.admin.endpoint import Endpoint, Handler, get, post
from receiver.admin.parameters import path_text
from receiver.admin.parts import Parts
from receiver.operations import interventions, records, schemas
from receiver.operations.audit import aim
from receiver.operations.names import named_in
from receiver.store.filters import Filter
from receiver.store.operations import Kind, Operation, Order, find_operation, latest_operations, take_back
from receiver.store.search import find_events, find_quarantined
from receiver.store.window import Page

_EVENT: Final = "/v1/events/{id}"
_OPERATION: Final = "/v1/operations/{id}"
_OPERATIONS: Final = 100


class Rows:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    def orders(self) -> Iterator[Endpoint]:
        """Yield the endpoints for bulk commands, which all work alike."""
        orders: tuple[tuple[Kind, Any, str], ...] = (
            ("deliveries.retry", asked.RetryDeliveries, "Send dead letters again, or pending deliveries now"),
            ("deliveries.drop", asked.DropDeliveries, "Drop dead letters"),
            ("events.replay", asked.ReplayEvents, "Send settled events again"),
            ("quarantine.retry", asked.OrderBodies, "Parse quarantined bodies with this release"),
            ("quarantine.drop", asked.OrderBodies, "Drop quarantined bodies"),
        )
        for kind, body, summary in orders:
            yield Endpoint(
                f"/v1/{kind.replace('.', '/')}",
                self._orderer(kind),
                summary,
                schemas.Counted,
                method="POST",
                body=body,
                begun=schemas.Operation,
            )

    @get("/v1/deliveries", schemas.Page[schemas.Delivery], query=asked.DeliveryListing)
    async def deliveries(self, _request: Request, given: asked.Listing) -> Response:
        """List deliveries."""
        deliveries = records.Deliveries(self._parts.configured)
        return await self._page(given, deliveries.find, deliveries.record, parts=2)

    @get("/v1/events", schemas.Page[schemas.Event], query=asked.EventListing)
    async def events(self, _request: Request, given: asked.Listing) -> Response:
        """List events."""
        return await self._page(given, find_events, records.event_record, parts=1)

    @get("/v1/quarantine", schemas.Page[schemas.Quarantined], query=asked.BodyListing)
    async def quarantine(self, _request: Request, given: asked.Listing) -> Response:
        """List quarantined bodies."""
        return await self._page(
            given, find_quarantined, partial(records.record, schemas.Quarantined), parts=1
        )

    @get("/v1/deliveries/{event_id}/{destination}", schemas.FullDelivery)
    async def delivery(self, request: Request, _given: None) -> Response:
        """Show a delivery."""
        event_id, destination = path_text(request, "event_id"), path_text(request, "destination")
        found = await records.full_delivery(self._store, event_id, destination, self._parts.configured)
        if found is None:
            raise answers.unknown("delivery", f"{event_id}/{destination}")
        return answers.json(found)

    @get(_EVENT, schemas.FullEvent)
    async def event(self, request: Request, _given: None) -> Response:
        """Show an event."""
        id_ = path_text(request, "id")
        found = await records.full_event(self._store, id_, self._parts.configured)
        if found is None:
            raise answers.unknown("event", id_)
        return answers.json(found)

    @post(f"{_EVENT}/mirror-now", schemas.Listed[schemas.Intervened])
    async def mirror_now(self, request: Request, _given: asked.Nothing) -> Response:
        """Have a worker retry the asset now."""
        return await self._intervened(request, "events.mirror-now", interventions.hurry)

    @post(f"{_EVENT}/release", schemas.Listed[schemas.Intervened])
    async def release(self, request: Request, _given: asked.Nothing) -> Response:
        """Forward an event without its asset."""
        return await self._intervened(request, "events.release", interventions.release)

    @get("/v1/quarantine/{id}", schemas.FullQuarantined)
    async def quarantined(self, request: Request, _given: None) -> Response:
        """Show a quarantined body."""
        id_ = path_text(request, "id")
        found = await records.full_quarantined(self._store, id_)
        if found is None:
            raise answers.unknown("quarantined body", id_)
        return answers.json(found)

    @get("/v1/operations", schemas.Listed[schemas.Operation])
    async def operations(self, _request: Request, _given: None) -> Response:
        """List operations."""
        found = await self._store.transact(latest_operations, limit=_OPERATIONS)
        return answers.json({"data": [records.operation_record(one) for one in found]})

    @get(_OPERATION, schemas.Operation)
    async def operation(self, request: Request, _given: None) -> Response:
        """Show the progress of an operation."""
        return answers.json(records.operation_record(await self._known(request)))

    @post(f"{_OPERATION}/resume", begun=schemas.Operation)
    async def resume(self, request: Request, _given: asked.Nothing) -> Response:
        """Resume an interrupted operation."""
        operation = await self._known(request)
        await note(self._store, request, "operations.resume", operation.id)
        self._parts.runner.finish(operation.id)
        return answers.json(records.operation_record(operation), 202)

    @post(f"{_OPERATION}/cancel", begun=schemas.Operation)
    async def cancel(self, request: Request, _given: asked.Nothing) -> Response:
        """Stop an operation and undo it."""
        id_ = (await self._known(request)).id
        await note(self._store, request, "operations.cancel", id_)
        await self._store.transact(take_back, id_, after=None, now_ms=clock.now_ms())
        self._parts.runner.take_back(id_)
        return answers.json(records.operation_record(await self._known(request)), 202)

    async def _page(
        self,
        given: asked.Listing,
        find: Callable[..., Page[Any]],
        record: Callable[[Any], Any],
        *,
        parts: int,
    ) -> Response:
        page = await self._store.transact(
            find,
            await self._checked(asked.to_filter(given)),
            limit=given.limit,
            after=asked.read_cursor(given.cursor, parts),
            newest_first=given.order == "newest",
        )
        return answers.page([record(one) for one in page.rows], page)

    async def _checked(self, wanted: Filter) -> Filter:
        """Return *wanted*, unless it names an unknown destination or source."""
        for one in await self._store.transact(
            named_in, wanted, destinations=tuple(self._parts.targets), sources=self._parts.erasing.sources
        ):
            if not one.is_known:
                there_are = ", ".join(sorted(one.known)) or "none"
                raise answers.invalid(f"{one.what}: {one.name[:100]!r} is not known; known are: {there_are}")
        return wanted

    def _orderer(self, kind: Kind) -> Handler:
        async def handle(request: Request, given: Any) -> Response:
            order = self._order(kind, given)
            await self._checked(order.wanted)
            if given.dry_run:
                counted = await operations.count(self._store, order)
                return answers.json(
                    {"kind": kind, "matched": counted.matched, "changed": counted.changed, "dry_run": True}
                )
            await note(self._store, request, kind, aim(order))
            operation = await operations.begin(self._store, order)
            self._parts.runner.finish(operation.id)
            return answers.json(records.operation_record(operation), 202)

        return handle

    def _order(self, kind: Kind, given: Any) -> Order:
        wanted = asked.to_filter(given.filter)
        if wanted.is_open and not given.all:
            raise answers.invalid('give a filter, or set "all": true')
        if not isinstance(given, asked.ReplayEvents):
            return Order(kind, wanted, rate=given.rate)
        if given.missing and not given.destinations:
            raise answers.invalid(
                "missing needs destinations: name those that should get events they never got"
            )
        return Order(kind, wanted, self._to(given.destinations), given.missing, given.rate)

    def _to(self, names: list[str]) -> tuple[str, ...]:
        configured = tuple(self._parts.targets)
        for name in names:
            if name not in configured:
                raise answers.invalid(f"destinations: {name[:100]!r} is not configured")
        if not configured:
            raise answers.invalid("destinations: none is configured")
        return tuple(dict.fromkeys(names)) or configured

    async def _intervened(self, request: Request, what: str, act: Callable[..., Any]) -> Response:
        name, late_ms = path_text(request, "id"), int(self._parts.late_s * 1000)
        found = await records.events_named(self._store, name)
        if not found:
            raise answers.unknown("event, or generation,", name)
        done = []
        for id_ in found:
            await note(self._store, request, what, id_)
            did = await act(self._store, id_, late_ms=late_ms) is not None
            done.append({"event_id": id_, "done": did})
        return answers.json({"data": done})

    async def _known(self, request: Request) -> Operation:
        id_ = path_text(request, "id")
        found = await self._store.transact(find_operation, id_)
        if found is None:
            raise answers.unknown("operation", id_)
        return found
