"""The public application: three routes, listed here and nowhere else."""

from collections.abc import Mapping
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from receiver.receive import Record, Source
from receiver.web import answers
from receiver.web.health import Readiness, healthz
from receiver.web.webhooks import Webhooks


class ReadyStore(Protocol):
    """What the public side needs of the store."""

    @property
    def record(self) -> Record:
        """See `Store.record`."""
        ...

    async def check(self) -> None:
        """See `Store.check`."""
        ...


def build_app(sources: Mapping[str, Source], store: ReadyStore) -> Starlette:
    """Build the public application for *sources*, by name."""
    routes = [
        Route("/webhooks/{source}", Webhooks(sources, store.record), methods=["POST"]),
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", Readiness(store.check).__call__, methods=["GET"]),
    ]
    app = Starlette(
        routes=routes, exception_handlers={HTTPException: answers.http_exception, 500: answers.fault}
    )
    app.router.redirect_slashes = False
    return app
