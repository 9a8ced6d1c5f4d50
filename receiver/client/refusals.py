"""From an answer other than 2xx to its error.

A 5xx is a failure of the server whatever its body says: a gateway may send one after the work was done.
Otherwise the documented code decides, else the status.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from receiver import documents
from receiver.client import errors
from receiver.client.errors import ApiError
from receiver.client.wire import Answer
from receiver.errors import ClientError

_BY_CODE: Final[Mapping[str, type[ApiError]]] = {
    kind.code: kind
    for kind in (
        errors.MissingApiKey,
        errors.InvalidApiKey,
        errors.ExpiredApiKey,
        errors.InsufficientScope,
        errors.IpNotAllowed,
        errors.InsufficientCredits,
        errors.RateLimited,
        errors.InvalidRequest,
        errors.NotFound,
        errors.ServerError,
    )
}
_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    400: errors.InvalidRequest,
    401: errors.Unauthorized,
    402: errors.InsufficientCredits,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.InvalidRequest,
    409: errors.InvalidRequest,
    413: errors.InvalidRequest,
    415: errors.InvalidRequest,
    422: errors.InvalidRequest,
    429: errors.RateLimited,
}
_REQUEST_ID_HEADERS: Final = ("x-request-id", "request-id", "cf-ray")
_LONGEST_MESSAGE: Final = 500


def refusal(answer: Answer) -> ApiError:
    """Return the error for *answer*."""
    envelope = _envelope(answer.body)
    code, message, details = envelope.get("code"), envelope.get("message"), envelope.get("details")
    known = isinstance(code, str) and bool(code)
    return _kind(answer.status, code)(
        str(message)[:_LONGEST_MESSAGE] if message else f"the provider answered {answer.status}",
        code=code if known else None,
        status=answer.status,
        details=details if isinstance(details, dict) else None,
        request_id=request_id(answer),
        documented=known,
    )


def noted(error: ClientError) -> str:
    """Return the ledger's text for *error*; for a lack of credits, always in the same words."""
    if not isinstance(error, errors.InsufficientCredits):
        return str(error)
    left = "" if error.available is None else f" ({error.available} left)"
    return f"{errors.InsufficientCredits.code}: {error}{left}"


def request_id(answer: Answer) -> str | None:
    """Return the provider's id of the request, if it sent one."""
    return next((answer.headers[name] for name in _REQUEST_ID_HEADERS if name in answer.headers), None)


def _kind(status: int, code: object) -> type[ApiError]:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.ServerError
    by_code = _BY_CODE.get(code) if isinstance(code, str) else None
    return by_code or _BY_STATUS.get(status, errors.UnexpectedResponse)


def _envelope(body: bytes) -> Mapping[str, Any]:
    try:
        payload = documents.read(body)
    except ValueError:
        return {}
    error = payload.get("error") if isinstance(payload, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}
