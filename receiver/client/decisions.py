"""What to do after each reply: the retry matrix.

| outcome                                              | repeatable               | may charge (POST)  |
| ---------------------------------------------------- | ------------------------ | ------------------ |
| never connected                                      | again                    | again              |
| 429                                                  | again, after the window  | the same           |
| other 4xx                                            | refused                  | refused            |
| 408, 5xx, no whole answer, a 2xx that cannot be read | again, backing off       | outcome unknown    |
| redirect, or another 3xx                             | followed on this origin  | outcome unknown    |

A 4xx that names an internal error counts as a 5xx. A 5xx stays one whatever it names.
"""

from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urljoin, urlsplit

from receiver import documents
from receiver.client.errors import (
    ApiError,
    NoAnswer,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    UnexpectedResponse,
)
from receiver.client.parse import Malformed, Misdirected
from receiver.client.rate_headers import retry_after_of, wait_after_429
from receiver.client.refusals import refusal, request_id
from receiver.client.wire import Answer, Lost, Reply, Request, Unsent
from receiver.errors import ClientError

T = TypeVar("T")

_FIRST_BACKOFF_S: Final = 0.5
_LONGEST_BACKOFF_S: Final = 8.0
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one request."""

    number: int
    """From 1."""
    url: str
    sent_at: float
    """Seconds since the epoch."""
    chance: float = 1.0
    """A random number in [0, 1), for jitter."""
    doubted: bool = False
    """Whether an earlier attempt may already have been acted on."""


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """It succeeded with this result."""

    result: T


@dataclass(frozen=True, slots=True)
class Again:
    """Send it once more."""

    after_s: float
    doubted: bool = False
    """Whether this attempt may have been acted on."""
    anew: bool = False
    """Whether no open connection may be reused, because it may carry others' answers."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Send it once more, to this URL of the same origin."""

    url: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Stop, and raise this."""

    error: ClientError
    anew: bool = False
    """Whether no open connection may be reused."""


class TooLate(Exception):
    """It could not be sent or retried by the deadline. Never leaves the client."""


Decision = Done[T] | Again | Moved | Refused


def decide(request: Request[T], reply: Reply, attempt: Attempt, *, max_retries: int) -> Decision[T]:
    """Decide what *reply* to this *attempt* means."""
    last = attempt.number > max_retries
    match reply:
        case Unsent(reason):
            if last:
                return Refused(NotSent(f"{request.method} {request.path} was not sent: {reason}"))
            return Again(backoff_s(attempt))
        case Lost(reason):
            if not request.repeatable:
                return Refused(OutcomeUnknown(request, sent_at=attempt.sent_at, reason=reason))
            if last:
                return Refused(NoAnswer(f"{request.method} {request.path}: {reason}"))
            return Again(backoff_s(attempt), doubted=True)
        case Answer():
            return _answered(request, reply, attempt, last=last)


def backoff_s(attempt: Attempt, asked_s: float | None = None) -> float:
    """Return the wait before the next attempt: full jitter, or what the server asked for."""
    ceiling = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2.0 ** min(attempt.number - 1, 10))
    return asked_s if asked_s is not None else attempt.chance * ceiling


def _answered(request: Request[T], answer: Answer, attempt: Attempt, *, last: bool) -> Decision[T]:
    if HTTPStatus(200) <= answer.status < HTTPStatus(300):
        return _succeeded(request, answer, attempt, last=last)
    if answer.status in _MOVED:
        return _moved(request, answer, attempt, last=last)
    error = refusal(answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _limited(error, answer, attempt, last=last)
    if answer.status == HTTPStatus.REQUEST_TIMEOUT or isinstance(error, ServerError):
        return _failed(request, error, answer, attempt, last=last)
    if _already_deleted(request, answer, attempt):
        return Done(request.read(None))
    # Only a 4xx means that nothing was done.
    certain = request.repeatable or answer.status >= HTTPStatus.BAD_REQUEST
    return Refused(error if certain else _unknown(request, error, attempt))


def _succeeded(request: Request[T], answer: Answer, attempt: Attempt, *, last: bool) -> Decision[T]:
    try:
        return Done(request.read(_payload(request, answer)))
    except ValueError as error:
        problem = str(error) if isinstance(error, Malformed) else "a body that is not JSON"
        anew = isinstance(error, Misdirected)
    unreadable = UnexpectedResponse(
        f"the provider answered {answer.status} with {problem}",
        status=answer.status,
        request_id=request_id(answer),
    )
    failed = _failed(request, unreadable, answer, attempt, last=last)
    return replace(failed, anew=anew) if isinstance(failed, Again | Refused) else failed


def _payload(request: Request[Any], answer: Answer) -> Any:
    if not request.body_expected:
        return None
    return documents.read(answer.body)


def _moved(request: Request[T], answer: Answer, attempt: Attempt, *, last: bool) -> Decision[T]:
    target = _same_origin(attempt.url, answer.headers.get("location"))
    if target is not None and request.method == "GET" and not last:
        return Moved(target)
    message = f"the provider answered {answer.status}, a redirect that is not followed"
    error = UnexpectedResponse(message, status=answer.status, request_id=request_id(answer))
    return Refused(_unknown(request, error, attempt) if not request.repeatable else error)


def _limited(error: ApiError, answer: Answer, attempt: Attempt, *, last: bool) -> Again | Refused:
    if not last:
        return Again(0.0)  # the pacer delays every request until the window ends
    if isinstance(error, RateLimited):
        error.retry_at = attempt.sent_at + wait_after_429(answer.headers, attempt.sent_at)
    return Refused(error)


def _failed(
    request: Request[T], error: ApiError, answer: Answer, attempt: Attempt, *, last: bool
) -> Decision[T]:
    if not request.repeatable:
        return Refused(_unknown(request, error, attempt))
    if last:
        return Refused(error)
    return Again(backoff_s(attempt, retry_after_of(answer.headers, attempt.sent_at)), doubted=True)


def _unknown(request: Request[Any], error: ApiError, attempt: Attempt) -> OutcomeUnknown:
    return OutcomeUnknown(request, sent_at=attempt.sent_at, reason=error.message, cause=error)


def _already_deleted(request: Request[Any], answer: Answer, attempt: Attempt) -> bool:
    # The attempt whose answer was lost did the work; this one found nothing left to delete.
    return request.method == "DELETE" and attempt.doubted and answer.status == HTTPStatus.NOT_FOUND


def _same_origin(url: str, location: str | None) -> str | None:
    if location is None:
        return None
    try:
        target = urljoin(url, location)
        here, there = urlsplit(url), urlsplit(target)
    except ValueError:
        return None
    return target if (here.scheme, here.netloc) == (there.scheme, there.netloc) else None
