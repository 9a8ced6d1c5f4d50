"""Every answer of the private API: JSON, never cached, with stable error codes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from receiver.errors import StoreUnavailable
from receiver.operations.records import write_cursor
from receiver.store.window import Page

_PLAIN: Final = {
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This route does not support that method."),
}


class Refusal(Exception):
    """A refused request; *code* is stable, the message is for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def invalid(message: str) -> Refusal:
    """Return the refusal of an invalid request."""
    return Refusal(400, "invalid_request", message)


def unknown(what: str, id_: str) -> Refusal:
    """Return the refusal of a request for something unknown."""
    return Refusal(404, "not_found", f"There is no {what} {id_[:100]}.")


def json(content: Any, status: int = 200) -> Response:
    """Answer with JSON; times are RFC 3339 in UTC."""
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), status, None, "application/json")


def page(rows: Sequence[Any], found: Page[Any]) -> Response:
    """Answer with *rows*, those of the page *found*, and the cursor of the next page."""
    cursor = None if found.cursor is None else write_cursor(found.cursor)
    return json({"data": rows, "next_cursor": cursor, "has_more": found.more})


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with the same error envelope as the public side."""
    content = {"error": {"code": code, "message": message, "details": {}}}
    return Response(orjson.dumps(content), status, headers, "application/json")


async def refused(_request: Request, refusal: Exception) -> Response:
    """Answer a handler's refusal."""
    assert isinstance(refusal, Refusal)
    return error(refusal.status, refusal.code, str(refusal))


async def unavailable(_request: Request, _error: Exception) -> Response:
    """Answer while the store is unavailable."""
    return error(
        StoreUnavailable.status,
        "unavailable",
        "The database does not answer, or its schema is another release's.",
        {"Retry-After": "5"},
    )


async def http_exception(_request: Request, exception: Exception) -> Response:
    """Answer a refusal of Starlette's router."""
    assert isinstance(exception, HTTPException)
    code, message = _PLAIN.get(exception.status_code, ("http_error", "The request was refused."))
    return error(exception.status_code, code, message, exception.headers)


async def fault(_request: Request, _error: Exception) -> Response:
    """Answer after a bug of ours."""
    return error(500, "internal_error", "This is a bug; the log says more.")


async def healthz(_request: Request) -> Response:
    """Answer whether this process serves."""
    return json({"status": "ok"})


HANDLERS: Final[Mapping[Any, ExceptionHandler]] = {
    Refusal: refused,
    StoreUnavailable: unavailable,
    HTTPException: http_exception,
    500: fault,
}
