"""The private application. `/v1/openapi.json` describes every route."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from receiver.admin import answers
from receiver.admin.destinations import Destinations
from receiver.admin.endpoint import Endpoint, declared, get
from receiver.admin.gauges import exposition
from receiver.admin.openapi import describe
from receiver.admin.parts import Parts
from receiver.admin.rows import Rows
from receiver.admin.token import Guard
from receiver.admin.upkeep import Upkeep
from receiver.operations import schemas
from receiver.telemetry.refusals import MINUTES

_REFUSALS: Final = 100


class Process:
    """The handlers about this process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @get("/healthz", dict[str, str])
    async def healthz(self, request: Request, _given: None) -> Response:
        """Show whether this process serves."""
        return await answers.healthz(request)

    @get("/metrics")
    async def metrics(self, _request: Request, _given: None) -> Response:
        """Show metrics in Prometheus' text format."""
        parts = self._parts
        return await exposition(
            parts.store, parts.refusals, destinations=tuple(parts.targets), watched=parts.watched
        )

    @get("/v1/refusals", schemas.Refusals)
    async def refusals(self, _request: Request, _given: None) -> Response:
        """List the addresses refused most."""
        most = self._parts.refusals.most(_REFUSALS)
        return answers.json({"minutes": MINUTES, "data": [one._asdict() for one in most]})


def endpoints(parts: Parts) -> Sequence[Endpoint]:
    """Return all endpoints."""
    rows = Rows(parts)
    groups = (Process(parts), rows, Destinations(parts), Upkeep(parts))
    found = [*rows.orders(), *(one for group in groups for one in declared(group))]

    @cache
    def description() -> Response:
        return answers.json(describe(found))

    async def openapi(_request: Request, _given: None) -> Response:
        return description()

    found.append(Endpoint("/v1/openapi.json", openapi, "Describe this API", dict[str, Any]))
    return found


def build_app(parts: Parts, token: str) -> ASGIApp:
    """Build the private application for holders of *token*."""
    app = Starlette(routes=[one.route for one in endpoints(parts)], exception_handlers=answers.HANDLERS)
    app.router.redirect_slashes = False
    return Guard(app, lambda _: token)


HOME: Final = "/console"
MISSING: Final = (
    "The console is not installed here; the JSON API below /v1/ is.\n"
    "Install it: pip install 'avs-receiver[console]', then start this process again.\n"
)


def beside(console: ASGIApp | None, api: ASGIApp) -> ASGIApp:
    """Return both as one; without the *console* its pages say what to install."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path == "/":
            await RedirectResponse(HOME, 307)(scope, receive, send)
        elif path == HOME or path.startswith(f"{HOME}/"):
            await (console or PlainTextResponse(MISSING, 404))(scope, receive, send)
        else:
            await api(scope, receive, send)

    return app
