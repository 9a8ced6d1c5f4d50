"""The private application. Every route of it is described by itself, at `/v1/openapi.json`."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from receiver.admin import answers
from receiver.admin.destinations import Destinations
from receiver.admin.endpoint import Endpoint
from receiver.admin.guard import Guard
from receiver.admin.metrics import exposition
from receiver.admin.openapi import describe
from receiver.admin.parts import Parts
from receiver.admin.rows import Rows
from receiver.admin.upkeep import Upkeep
from receiver.operations import schemas
from receiver.telemetry.refusals import MINUTES

_REFUSALS: Final = 100


class Process:
    """The handlers about this process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def endpoints(self) -> Iterator[Endpoint]:
        """Yield every endpoint."""
        yield Endpoint("/healthz", self.healthz, "Tell whether this process serves", dict[str, str])
        yield Endpoint("/metrics", self.metrics, "Show metrics in Prometheus' text format")
        yield Endpoint("/v1/refusals", self.refusals, "List the addresses refused most", schemas.Refusals)

    async def healthz(self, request: Request, _given: None) -> Response:
        """Answer anybody."""
        return await answers.healthz(request)

    async def metrics(self, _request: Request, _given: None) -> Response:
        """Of this process, and of the store."""
        parts = self._parts
        return await exposition(
            parts.store, parts.refusals, destinations=tuple(parts.targets), watched=parts.watched
        )

    async def refusals(self, _request: Request, _given: None) -> Response:
        """The addresses that this process refused most in the last minutes."""
        most = self._parts.refusals.most(_REFUSALS)
        return answers.json({"minutes": MINUTES, "data": [one._asdict() for one in most]})


def endpoints(parts: Parts) -> Sequence[Endpoint]:
    """Return everything that is served, and described."""
    groups = (Process(parts), Rows(parts), Destinations(parts), Upkeep(parts))
    found = [one for group in groups for one in group.endpoints()]

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
