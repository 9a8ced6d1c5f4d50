"""Every error the client raises on purpose.

    ClientError
    ├── ApiError                 the provider answered, and refused
    │   ├── InvalidRequest       400, and any other complaint about what was sent
    │   │   └── InvalidParameter refused here, before anything was sent (also a ValueError)
    │   ├── Unauthorized         401
    │   │   ├── MissingApiKey
    │   │   ├── InvalidApiKey
    │   │   └── ExpiredApiKey
    │   ├── Forbidden            403
    │   │   ├── InsufficientScope
    │   │   ├── IpNotAllowed
    │   │   └── InsufficientCredits
    │   ├── NotFound             404
    │   ├── RateLimited          429, after waiting as often as `max_retries` allows
    │   ├── ServerError          5xx
    │   └── UnexpectedResponse   an answer that the API document does not describe
    ├── NotSent                  the request was certainly never sent: nothing was charged
    ├── NoAnswer                 a repeatable request was sent, and no whole answer came back
    ├── OutcomeUnknown           a request that may charge was sent, and its fate is not known
    ├── NotCharged               recovery found that it was not accepted: it may be sent again
    ├── GenerationClaimed        the generation belongs to another submission already
    ├── GenerationFailed         the provider could not make it
    ├── WaitTimeout              still processing when the time was up (also a TimeoutError)
    └── DownloadFailed           the asset could not be fetched whole

All of them survive pickling. None carries the API key.
"""

from collections.abc import Mapping
from typing import Any

from receiver.client.ledger import SETTLING_S
from receiver.client.results import Generation
from receiver.client.wire import Request
from receiver.errors import ClientError


class ApiError(ClientError):
    """The provider answered, and refused. Raised itself only through its subclasses."""

    code = "api_error"
    status = 500

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        documented: bool = True,
    ) -> None:
        super().__init__(message)
        self.message = message
        # As received: a code may be newer than this package, or a status unusual for its code.
        self.code = code or type(self).code  # type: ignore[misc]  # narrows the class's own, for this instance
        self.status = status or type(self).status  # type: ignore[misc]
        self.details: Mapping[str, Any] = dict(details or {})
        """What the provider added to its error; empty when it added nothing."""
        self.request_id = request_id
        """The provider's id of this request, if it sent one: quote it to support."""
        self.documented = documented
        """Whether the API itself wrote this error. False when a router or proxy before it did."""


class InvalidRequest(ApiError):
    """The provider refused what was sent."""

    code = "invalid_request"
    status = 400


class InvalidParameter(InvalidRequest, ValueError):
    """Refused here: the API document does not allow this value, so nothing was sent."""

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(f"{parameter} {problem}", details={"parameter": parameter})
        self.parameter = parameter


class Unauthorized(ApiError):
    """The provider does not accept the API key."""

    code = "unauthorized"
    status = 401


class MissingApiKey(Unauthorized):
    """No API key reached the provider."""

    code = "missing_api_key"


class InvalidApiKey(Unauthorized):
    """The API key is wrong or revoked."""

    code = "invalid_api_key"


class ExpiredApiKey(Unauthorized):
    """The API key has expired."""

    code = "expired_api_key"


class Forbidden(ApiError):
    """The API key is valid, but not for this call."""

    code = "forbidden"
    status = 403


class InsufficientScope(Forbidden):
    """The API key lacks the scope this call needs."""

    code = "insufficient_scope"


class IpNotAllowed(Forbidden):
    """The API key may not be used from this address."""

    code = "ip_not_allowed"


class InsufficientCredits(Forbidden):
    """The account has too few credits."""

    code = "insufficient_credits"

    @property
    def required(self) -> int | None:
        """Credits this would cost, when the provider said so."""
        return _count(self.details.get("required"))

    @property
    def available(self) -> int | None:
        """Credits the account has, when the provider said so."""
        return _count(self.details.get("available"))


class NotFound(ApiError):
    """No such thing, or it belongs to another account."""

    code = "not_found"
    status = 404


class RateLimited(ApiError):
    """The provider still refused after the client had waited `max_retries` times."""

    code = "rate_limited"
    status = 429
    retryable = True
    retry_at: float | None = None
    """When to try again, in seconds since the epoch by the client's clock."""


class ServerError(ApiError):
    """The provider failed, again and again, on a request that is safe to repeat."""

    code = "internal_error"
    status = 500
    retryable = True


class UnexpectedResponse(ApiError):
    """An answer the API document does not describe."""

    code = "unexpected_response"
    status = 502


class NotSent(ClientError):
    """The provider could not be reached; the request certainly never left, and nothing was charged."""

    code = "not_sent"
    status = 503
    retryable = True


class NoAnswer(ClientError):
    """A request that is safe to repeat was sent, and no whole answer came back."""

    code = "no_answer"
    status = 504
    retryable = True


class OutcomeUnknown(ClientError):
    """A request that may charge was sent, and whether the provider acted on it is not known.

    It is never retried automatically. `client.generate.recover(error)` looks for it in the provider's list
    and returns it if exactly one generation fits; otherwise choose among `candidates` before asking again.
    """

    code = "outcome_unknown"
    status = 504

    def __init__(
        self,
        request: Request[Any],
        *,
        sent_at: float,
        reason: str,
        cause: ApiError | None = None,
        client_ref: str | None = None,
    ) -> None:
        super().__init__(
            f"{request.method} {request.path} may have been accepted: {reason}; "
            "look for it in the provider's list before sending it again"
        )
        self.request = request
        """What was sent: `request.body` holds the prompt and model to look for."""
        self.sent_at = sent_at
        """When it was sent, or was about to be, in seconds since the epoch by the client's clock."""
        self.reason = reason
        self.cause = cause
        """The provider's refusal, when there was one to read."""
        self.client_ref = client_ref
        """Its name in the ledger."""
        self.candidates: tuple[Generation, ...] = ()
        """Possible matches from recovery, if it was tried; it could not decide between them."""

    @property
    def settles_at(self) -> float:
        """The time from which recovery can prove that it was not accepted, in seconds since the epoch."""
        return self.sent_at + SETTLING_S


class NotCharged(ClientError):
    """Recovery found that it was not accepted, and no longer can be: nothing was charged.

    Its name in the ledger is free: the same call will be sent.
    """

    code = "not_charged"
    status = 404
    retryable = True

    def __init__(self, request: Request[Any], *, client_ref: str | None) -> None:
        super().__init__(
            f"{request.method} {request.path} was not accepted: nothing that fits is in the provider's list, "
            "and nothing was charged; it may be sent again"
        )
        self.request = request
        self.client_ref = client_ref
        """Its name in the ledger."""


class GenerationFailed(ClientError):
    """The provider could not make it."""

    code = "generation_failed"
    status = 502

    def __init__(self, generation: Generation) -> None:
        super().__init__(f"{generation.id} failed: {generation.error or 'no reason given'}")
        self.generation = generation

    @property
    def reason(self) -> str | None:
        """The provider's words, when it gave any."""
        return self.generation.error


class WaitTimeout(ClientError, TimeoutError):
    """The generation was still processing when the time was up. It may finish yet."""

    code = "wait_timeout"
    status = 504
    retryable = True

    def __init__(
        self,
        generation_id: str,
        *,
        last: "Generation | None",
        waited_s: float,
        pending: tuple[str, ...] = (),
    ) -> None:
        others = f" and {len(pending) - 1} more" if len(pending) > 1 else ""
        super().__init__(f"{generation_id}{others} not finished after {waited_s:.0f} s")
        self.generation_id = generation_id
        self.pending = pending or (generation_id,)
        """The ids of all unfinished generations."""
        self.last = last
        """The generation as last seen; None if the provider never showed it."""
        self.waited_s = waited_s


class DownloadFailed(ClientError):
    """The asset could not be downloaded completely; no file was left behind."""

    code = "download_failed"
    status = 502


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
