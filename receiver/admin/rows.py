"""Events, deliveries, quarantined bodies, and the operations on them."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from receiver import clock, operations
from receiver.admin import answers
from receiver.admin import parameters as asked
from receiver.admin.deeds import note
from receiver.admin.endpoint import Endpoint, Handler
from receiver.admin.parameters import path_text
from receiver.admin.parts import Parts
from receiver.operations import interventions, records, schemas
from receiver.operations.audit import aim
from receiver.operations.names import named_in
from receiver.store.filters import Filter
from receiver.store.operations import Kind, Operation, Order, find_operation, latest_operations, take_back
from receiver.store.search import find_deliveries, find_events, find_quarantined
from receiver.store.window import Page

_OPERATIONS: Final = 100


class Rows:
    """The handlers of what is stored in rows."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    def endpoints(self) -> list[Endpoint]:
        """Return every endpoint."""
        return [*self._lists(), *self._orders(), *self._single(), *self._operations()]

    def _lists(self) -> Iterator[Endpoint]:
        yield Endpoint(
            "/v1/deliveries",
            self._lister(find_deliveries, records.delivery_record, parts=2),
            "List deliveries",
            schemas.Page[schemas.Delivery],
            query=asked.DeliveryListing,
        )
        yield Endpoint(
            "/v1/events",
            self._lister(find_events, records.event_record, parts=1),
            "List events",
            schemas.Page[schemas.Event],
            query=asked.EventListing,
        )
        yield Endpoint(
            "/v1/quarantine",
            self._lister(find_quarantined, records.quarantine_record, parts=1),
            "List quarantined bodies",
            schemas.Page[schemas.Quarantined],
            query=asked.BodyListing,
        )

    def _orders(self) -> Iterator[Endpoint]:
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

    def _single(self) -> Iterator[Endpoint]:
        event = "/v1/events/{id}"
        intervened = schemas.Listed[schemas.Intervened]
        yield Endpoint(
            "/v1/deliveries/{event_id}/{destination}",
            self.delivery,
            "Show a delivery",
            schemas.FullDelivery,
        )
        yield Endpoint(event, self.event, "Show an event", schemas.FullEvent)
        yield Endpoint(
            f"{event}/mirror-now",
            self._intervener("events.mirror-now", interventions.hurry),
            "Have a worker try for the asset now",
            intervened,
            method="POST",
            body=asked.Nothing,
        )
        yield Endpoint(
            f"{event}/release",
            self._intervener("events.release", interventions.release),
            "Forward an event without its asset",
            intervened,
            method="POST",
            body=asked.Nothing,
        )
        yield Endpoint(
            "/v1/quarantine/{id}", self.quarantined, "Show a quarantined body", schemas.FullQuarantined
        )

    def _operations(self) -> Iterator[Endpoint]:
        one = "/v1/operations/{id}"
        begun: dict[str, Any] = {"method": "POST", "body": asked.Nothing, "begun": schemas.Operation}
        yield Endpoint(
            "/v1/operations", self.operations, "List operations", schemas.Listed[schemas.Operation]
        )
        yield Endpoint(one, self.operation, "Show the progress of an operation", schemas.Operation)
        yield Endpoint(f"{one}/resume", self.resume, "Go on with what was interrupted", **begun)
        yield Endpoint(f"{one}/cancel", self.cancel, "Stop an operation and undo it", **begun)

    async def delivery(self, request: Request, _given: None) -> Response:
        """With its failed attempts."""
        event_id, destination = path_text(request, "event_id"), path_text(request, "destination")
        found = await records.full_delivery(self._store, event_id, destination)
        if found is None:
            raise answers.unknown("delivery", f"{event_id}/{destination}")
        return answers.json(found)

    async def event(self, request: Request, _given: None) -> Response:
        """With its deliveries, its failed attempts and its body."""
        id_ = path_text(request, "id")
        found = await records.full_event(self._store, id_)
        if found is None:
            raise answers.unknown("event", id_)
        return answers.json(found)

    async def quarantined(self, request: Request, _given: None) -> Response:
        """With the body."""
        id_ = path_text(request, "id")
        found = await records.full_quarantined(self._store, id_)
        if found is None:
            raise answers.unknown("quarantined body", id_)
        return answers.json(found)

    async def operations(self, _request: Request, _given: None) -> Response:
        """The latest first."""
        found = await self._store.transact(latest_operations, limit=_OPERATIONS)
        return answers.json({"data": [records.operation_record(one) for one in found]})

    async def operation(self, request: Request, _given: None) -> Response:
        """How far it is."""
        return answers.json(records.operation_record(await self._known(request)))

    async def resume(self, request: Request, _given: asked.Nothing) -> Response:
        """Go on, in the background."""
        operation = await self._known(request)
        await note(self._store, request, "operations.resume", operation.id)
        self._parts.runner.finish(operation.id)
        return answers.json(records.operation_record(operation), 202)

    async def cancel(self, request: Request, _given: asked.Nothing) -> Response:
        """Stop at once, and take back in the background."""
        id_ = (await self._known(request)).id
        await note(self._store, request, "operations.cancel", id_)
        await self._store.transact(take_back, id_, after=None, now_ms=clock.now_ms())
        self._parts.runner.take_back(id_)
        return answers.json(records.operation_record(await self._known(request)), 202)

    def _lister(self, find: Callable[..., Page[Any]], record: Callable[[Any], Any], *, parts: int) -> Handler:
        async def handle(_request: Request, given: asked.Listing) -> Response:
            page = await self._store.transact(
                find,
                await self._checked(asked.to_filter(given)),
                limit=given.limit,
                after=asked.read_cursor(given.cursor, parts),
                newest_first=given.order == "newest",
            )
            return answers.json(
                {
                    "data": [record(one) for one in page.rows],
                    "next_cursor": asked.write_cursor(page.cursor),
                    "has_more": page.more,
                }
            )

        return handle

    async def _checked(self, wanted: Filter) -> Filter:
        """Return *wanted*, unless it is about a destination or a source that there is not."""
        for one in await self._store.transact(
            named_in, wanted, destinations=tuple(self._parts.targets), sources=self._parts.erasing.sources
        ):
            if not one.is_known:
                there_are = ", ".join(sorted(one.known)) or "none"
                raise answers.invalid(f"{one.what}: {one.name[:100]!r} is not known; there are: {there_are}")
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

    def _intervener(self, what: str, act: Callable[..., Any]) -> Handler:
        async def handle(request: Request, _given: asked.Nothing) -> Response:
            name = path_text(request, "id")
            found = await records.events_named(self._store, name)
            if not found:
                raise answers.unknown("event, or generation,", name)
            done = []
            for id_ in found:
                await note(self._store, request, what, id_)
                late_ms = int(self._parts.late_s * 1000)
                did = await act(self._store, id_, late_ms=late_ms) is not None
                done.append({"event_id": id_, "done": did})
            return answers.json({"data": done})

        return handle

    async def _known(self, request: Request) -> Operation:
        id_ = path_text(request, "id")
        found = await self._store.transact(find_operation, id_)
        if found is None:
            raise answers.unknown("operation", id_)
        return found
