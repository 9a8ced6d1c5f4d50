"""Answers, in the provider's own error envelope: `{"error": {"code", "message", "details"}}`."""

from collections.abc import Mapping
from typing import Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

RETRY_AFTER_S: Final = 5
_CLOSE: Final = {"Connection": "close"}

_PLAIN: Final = {
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This route does not take that method."),
    408: ("request_timeout", "The request took too long to arrive."),
    413: ("payload_too_large", "The body is larger than a webhook ever is."),
    415: ("unsupported_encoding", "Send the body without Content-Encoding."),
}


def json(status: int, content: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a JSON object."""
    return Response(orjson.dumps(content), status, headers, "application/json")


def refused(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Answer a request whose body we do not want, and close: nothing more of it is read."""
    code, message = _PLAIN.get(status, ("http_error", "The request was refused."))
    return _error(status, code, message, {**_CLOSE, **(headers or {})})


def not_genuine() -> Response:
    """Answer a delivery whose signature does not hold: the same bytes whatever is wrong with it."""
    return _error(401, "invalid_signature", "The signature does not match.")


def unavailable() -> Response:
    """Answer when the fault is ours, so that the sender tries again."""
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return _error(503, "unavailable", "Nothing was recorded. Send it again.", headers)


async def http_exception(_request: Request, error: Exception) -> Response:
    """Answer what Starlette's router refuses."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    return refused(error.status_code, headers)


async def fault(_request: Request, _error: Exception) -> Response:
    """Answer when a bug of ours surfaced."""
    return unavailable()


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return json(status, {"error": {"code": code, "message": message, "details": {}}}, headers)
