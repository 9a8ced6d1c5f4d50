"""The private application. Every route of it is listed here."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from receiver import clock, operations
from receiver.admin import answers
from receiver.admin.gauges import Watched
from receiver.admin.guard import Guard
from receiver.admin.metrics import exposition
from receiver.admin.parameters import path_text, read_listing, read_order, write_cursor
from receiver.admin.runner import Runner
from receiver.operations import records
from receiver.store import Store
from receiver.store.operations import Operation, find_operation, latest_operations, take_back
from receiver.store.search import find_deliveries, find_events, find_quarantined
from receiver.store.window import Page
from receiver.telemetry.refusals import MINUTES, Refusals

Handler = Callable[[Request], Awaitable[Response]]

_OPERATIONS_SHOWN = 100
_REFUSALS_SHOWN = 100


class Admin:
    """The handlers over one store."""

    def __init__(
        self,
        store: Store,
        refusals: Refusals,
        destinations: tuple[str, ...],
        runner: Runner,
        watched: Watched,
    ) -> None:
        self._store = store
        self._refusals = refusals
        self._destinations = destinations
        self._runner = runner
        self._watched = watched

    def routes(self) -> list[Route]:
        """Return every route."""
        lists = (
            ("deliveries", find_deliveries, records.delivery_record),
            ("events", find_events, records.event_record),
            ("quarantine", find_quarantined, records.quarantine_record),
        )
        orders = (
            "deliveries.retry",
            "deliveries.drop",
            "events.replay",
            "quarantine.retry",
            "quarantine.drop",
        )
        return [
            Route("/healthz", answers.healthz, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            *(Route(f"/v1/{what}", self._lister(what, find, record)) for what, find, record in lists),
            *(
                Route(f"/v1/{kind.replace('.', '/')}", self._orderer(kind), methods=["POST"])
                for kind in orders
            ),
            Route("/v1/deliveries/{event_id}/{destination}", self.delivery, methods=["GET"]),
            Route("/v1/events/{id}", self.event, methods=["GET"]),
            Route("/v1/quarantine/{id}", self.quarantined, methods=["GET"]),
            Route("/v1/refusals", self.refusals, methods=["GET"]),
            Route("/v1/operations", self.operations, methods=["GET"]),
            Route("/v1/operations/{id}", self.operation, methods=["GET"]),
            Route("/v1/operations/{id}/resume", self.resume, methods=["POST"]),
            Route("/v1/operations/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    async def metrics(self, _request: Request) -> Response:
        """`GET /metrics`."""
        return await exposition(
            self._store, self._refusals, destinations=self._destinations, watched=self._watched
        )

    async def refusals(self, _request: Request) -> Response:
        """`GET /v1/refusals`: the addresses that this process refused most in the last minutes."""
        most = self._refusals.most(_REFUSALS_SHOWN)
        return answers.json({"minutes": MINUTES, "data": [one._asdict() for one in most]})

    async def delivery(self, request: Request) -> Response:
        """`GET /v1/deliveries/{event_id}/{destination}`: with its failed attempts."""
        event_id, destination = path_text(request, "event_id"), path_text(request, "destination")
        found = await records.full_delivery(self._store, event_id, destination)
        if found is None:
            raise answers.unknown("delivery", f"{event_id}/{destination}")
        return answers.json(found)

    async def event(self, request: Request) -> Response:
        """`GET /v1/events/{id}`: with its deliveries, its failed attempts and its body."""
        id_ = path_text(request, "id")
        found = await records.full_event(self._store, id_)
        if found is None:
            raise answers.unknown("event", id_)
        return answers.json(found)

    async def quarantined(self, request: Request) -> Response:
        """`GET /v1/quarantine/{id}`: with the body."""
        id_ = path_text(request, "id")
        found = await records.full_quarantined(self._store, id_)
        if found is None:
            raise answers.unknown("quarantined body", id_)
        return answers.json(found)

    async def operations(self, _request: Request) -> Response:
        """`GET /v1/operations`: the latest first."""
        found = await self._store.transact(latest_operations, limit=_OPERATIONS_SHOWN)
        return answers.json({"data": [records.operation_record(one) for one in found]})

    async def operation(self, request: Request) -> Response:
        """`GET /v1/operations/{id}`."""
        return answers.json(records.operation_record(await self._known(request)))

    async def resume(self, request: Request) -> Response:
        """`POST /v1/operations/{id}/resume`: go on with what was interrupted."""
        operation = await self._known(request)
        self._runner.finish(operation.id)
        return answers.json(records.operation_record(operation), 202)

    async def cancel(self, request: Request) -> Response:
        """`POST /v1/operations/{id}/cancel`: stop at once, and take back in the background."""
        id_ = path_text(request, "id")
        if await self._store.transact(take_back, id_, after=None, now_ms=clock.now_ms()) is None:
            raise answers.unknown("operation", id_)
        self._runner.take_back(id_)
        return answers.json(records.operation_record(await self._known(request)), 202)

    def _lister(
        self, what: str, find: Callable[..., Page[Any]], record: Callable[[Any], records.Record]
    ) -> Handler:
        async def handle(request: Request) -> Response:
            wanted, paging = read_listing(request, what)
            page = await self._store.transact(find, wanted, **paging)
            return answers.json(
                {
                    "data": [record(one) for one in page.rows],
                    "next_cursor": write_cursor(page.cursor),
                    "has_more": page.more,
                }
            )

        return handle

    def _orderer(self, kind: str) -> Handler:
        async def handle(request: Request) -> Response:
            order, dry_run = await read_order(request, kind, self._destinations)
            if dry_run:
                counted = await operations.count(self._store, order)
                return answers.json(
                    {"kind": kind, "matched": counted.matched, "changed": counted.changed, "dry_run": True}
                )
            operation = await operations.begin(self._store, order)
            self._runner.finish(operation.id)
            return answers.json(records.operation_record(operation), 202)

        return handle

    async def _known(self, request: Request) -> Operation:
        id_ = path_text(request, "id")
        found = await self._store.transact(find_operation, id_)
        if found is None:
            raise answers.unknown("operation", id_)
        return found


def build_app(
    store: Store,
    refusals: Refusals,
    *,
    destinations: tuple[str, ...],
    token: str,
    runner: Runner,
    watched: Watched = Watched(),  # noqa: B008  it is frozen
) -> ASGIApp:
    """Build the private application for holders of *token*."""
    app = Starlette(
        routes=Admin(store, refusals, destinations, runner, watched).routes(),
        exception_handlers=answers.HANDLERS,
    )
    app.router.redirect_slashes = False
    return Guard(app, lambda _: token)
