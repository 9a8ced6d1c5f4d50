"""Groups of pages: each handler declares its own route, and logs what it does for the audit."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.admin.deeds import note
from receiver.admin.parts import Parts
from receiver.console.guard import HOME
from receiver.console.pages import Pages

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Response]])


def get(path: str) -> Callable[[Handler], Handler]:
    """Declare a method as the handler for GET of a *path* in the console."""
    return _declare(path, "GET")


def post(path: str) -> Callable[[Handler], Handler]:
    """Declare a method as the handler for POST to a *path* in the console."""
    return _declare(path, "POST")


def _declare(path: str, verb: str) -> Callable[[Handler], Handler]:
    def declare(handler: Handler) -> Handler:
        handler.route = (HOME + path, verb)  # type: ignore[attr-defined]  # read by `Group.routes`
        return handler

    return declare


class Group:
    """The handlers of related pages."""

    def __init__(self, parts: Parts, pages: Pages) -> None:
        self._parts = parts
        self._store = parts.store
        self._pages = pages

    def routes(self) -> list[Route]:
        """Return the route of every handler."""
        declared = {name: getattr(method, "route", None) for name, method in vars(type(self)).items()}
        return [
            Route(route[0], getattr(self, name), methods=[route[1]])
            for name, route in declared.items()
            if route
        ]

    async def _note(self, request: Request, what: str, on: str = "", *, who: str | None = None) -> None:
        """Record in the audit log that the user of *request* does *what*."""
        await note(self._store, request, what, on, who=who or request.state.session.who)
