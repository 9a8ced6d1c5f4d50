"""Dead letters, quarantined bodies, and the operations on them."""

from typing import Any, Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from receiver import clock, operations
from receiver.admin.parameters import one_of, path_text, query_cursor
from receiver.console.pages import Group, get, post
from receiver.operations.audit import aim
from receiver.operations.records import write_cursor
from receiver.states import BODY_STATES
from receiver.store.filters import Filter
from receiver.store.operations import Kind, Order, find_operation, latest_operations, take_back
from receiver.store.search import find_deliveries, find_quarantined, quarantined_body
from receiver.store.window import Page

_ROWS: Final = 50
_OPERATIONS: Final = 100
_DEAD_ORDERS: Final[dict[str, Kind]] = {"retry": "deliveries.retry", "drop": "deliveries.drop"}
_BODY_ORDERS: Final[dict[str, Kind]] = {"retry": "quarantine.retry", "drop": "quarantine.drop"}


class Queues(Group):
    """Lists whose rows can be requeued or dropped."""

    @get("/dead-letters")
    async def dead_letters(self, request: Request) -> Response:
        """What destinations kept refusing, latest first."""
        given = {name: _word(request, name) for name in ("destination", "error")}
        wanted = Filter(state="dead", destination=given["destination"] or None, error=given["error"] or None)
        page = await self._store.transact(
            find_deliveries, wanted, after=query_cursor(request, 2), limit=_ROWS, newest_first=True
        )
        return self._pages.page(
            request,
            "dead_letters.html",
            rows=page.rows,
            further=_further(given, page),
            given=given,
            is_filtered=any(given.values()),
        )

    @post("/dead-letters")
    async def order_letters(self, request: Request) -> Response:
        """Requeue or drop one dead letter, or all that are listed."""
        form = request.state.form
        kind = _DEAD_ORDERS.get(form.get("order", ""))
        if kind is None:
            raise HTTPException(400)
        wanted = Filter(
            ids=(form["id"],) if form.get("id") else (),
            state="dead",
            destination=form.get("destination") or None,
            error=form.get("error") or None,
        )
        return await self._begin(request, Order(kind, wanted), "/dead-letters")

    @get("/quarantine")
    async def quarantine(self, request: Request) -> Response:
        """Genuine bodies that could not be read, latest first."""
        state = one_of(request, "state", BODY_STATES) or "open"
        page = await self._store.transact(
            find_quarantined,
            Filter(state=state),
            after=query_cursor(request, 1),
            limit=_ROWS,
            newest_first=True,
        )
        return self._pages.page(
            request,
            "quarantine.html",
            rows=page.rows,
            state=state,
            states=BODY_STATES,
            further=_further({"state": state}, page),
        )

    @get("/quarantine/{id}")
    async def body(self, request: Request) -> Response:
        """One quarantined body."""
        id_ = path_text(request, "id")
        page = await self._store.transact(find_quarantined, Filter(ids=(id_,)))
        if not page.rows:
            raise HTTPException(404)
        content = await self._store.transact(quarantined_body, id_) or b""
        return self._pages.page(request, "quarantined.html", row=page.rows[0], content=content)

    @post("/quarantine")
    async def order_bodies(self, request: Request) -> Response:
        """Parse bodies again with this release, or drop them."""
        form = request.state.form
        kind = _BODY_ORDERS.get(form.get("order", ""))
        if kind is None:
            raise HTTPException(400)
        wanted = Filter(ids=(form["id"],) if form.get("id") else (), state="open")
        return await self._begin(request, Order(kind, wanted), "/quarantine")

    @get("/operations")
    async def operations(self, request: Request) -> Response:
        """The latest operations, and their progress."""
        found = await self._store.transact(latest_operations, limit=_OPERATIONS)
        return self._pages.page(request, "operations.html", rows=found)

    @post("/operations/{id}/resume")
    async def resume(self, request: Request) -> Response:
        """Continue an interrupted operation."""
        id_ = await self._known(request)
        await self._note(request, "operations.resume", id_)
        self._parts.runner.finish(id_)
        return self._pages.back("/operations", "The operation was resumed.")

    @post("/operations/{id}/cancel")
    async def cancel(self, request: Request) -> Response:
        """Stop at once, and undo what was not delivered."""
        id_ = await self._known(request)
        await self._note(request, "operations.cancel", id_)
        await self._store.transact(take_back, id_, after=None, now_ms=clock.now_ms())
        self._parts.runner.take_back(id_)
        return self._pages.back("/operations", "Cancelled. Undelivered rows are back in their earlier state.")

    async def _begin(self, request: Request, order: Order, path: str) -> Response:
        if request.state.form.get("dry_run"):
            counted = await operations.count(self._store, order)
            return self._pages.back(path, f"It would change {counted.changed:,} of {counted.matched:,}.")
        await self._note(request, order.kind, aim(order))
        begun = await operations.begin(self._store, order)
        self._parts.runner.finish(begun.id)
        return self._pages.back("/operations", "Started; this page shows its progress.")

    async def _known(self, request: Request) -> str:
        id_ = path_text(request, "id")
        if await self._store.transact(find_operation, id_) is None:
            raise HTTPException(404)
        return id_


def _word(request: Request, name: str) -> str:
    return request.query_params.get(name, "").replace("\0", "").strip()


def _further(given: dict[str, str], page: Page[Any]) -> str | None:
    if page.cursor is None or not page.more:
        return None
    given = {name: value for name, value in given.items() if value}
    return f"?{urlencode({**given, 'cursor': write_cursor(page.cursor)})}"
