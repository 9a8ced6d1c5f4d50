"""One route of the private API: what it takes, what it answers, and who handles it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.admin.parameters import read_body, read_query

Handler = Callable[[Request, Any], Awaitable[Response]]
"""Takes the request, and what its query or body says."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route. The description of the API says of it what is here, and no more."""

    path: str
    handle: Handler
    summary: str
    answer: Any = None
    """The type of the JSON in a 200, or None."""
    method: str = "GET"
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    begun: Any = None
    """The type of the JSON in a 202, if there is one."""
    missing: bool = True
    """Whether a name in the path may be of nothing."""

    @property
    def route(self) -> Route:
        """Serve it."""
        return Route(self.path, self._serve, methods=[self.method])

    async def _serve(self, request: Request) -> Response:
        given: BaseModel | None = None
        if self.body is not None:
            given = await read_body(request, self.body)
        elif self.query is not None:
            given = read_query(request, self.query)
        return await self.handle(request, given)
