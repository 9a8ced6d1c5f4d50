"""One route of the private API: its input, its answer, and its handler."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.admin.parameters import Nothing, read_body, read_query

Handler = Callable[[Request, Any], Awaitable[Response]]
"""Takes the request, and its parsed query or body."""
Method = TypeVar("Method", bound=Callable[..., Awaitable[Response]])


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route, with everything that the API's description says about it."""

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


def get(path: str, answer: Any = None, *, query: type[BaseModel] | None = None) -> Callable[[Method], Method]:
    """Declare a method to be the handler of GET. Its docstring begins with the summary."""
    return _declare(partial(Endpoint, path, answer=answer, query=query))


def post(
    path: str, answer: Any = None, *, body: type[BaseModel] = Nothing, begun: Any = None
) -> Callable[[Method], Method]:
    """Declare a method to be the handler of POST. Its docstring begins with the summary."""
    return _declare(partial(Endpoint, path, answer=answer, method="POST", body=body, begun=begun))


def _declare(make: Callable[..., Endpoint]) -> Callable[[Method], Method]:
    def declare(method: Method) -> Method:
        summary = (method.__doc__ or "").partition("\n")[0].removesuffix(".")
        method.endpoint = partial(make, summary=summary)  # type: ignore[attr-defined]  # read below
        return method

    return declare


def declared(group: object) -> Iterator[Endpoint]:
    """Yield the endpoints of *group*'s methods, in order."""
    for name, method in vars(type(group)).items():
        if make := getattr(method, "endpoint", None):
            yield make(handle=getattr(group, name))
