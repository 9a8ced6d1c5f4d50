"""Every error this package raises on purpose.

    ReceiverError
    ├── ConfigError            a setting is missing or wrong; the message names it
    ├── SignatureError         a delivery is not genuine; `reason` is the metric label
    ├── NotJson                bytes that `JSON.parse` would refuse
    ├── StoreUnavailable       the database did not answer; the sender should try again
    ├── BucketUnavailable      the asset bucket did not answer; the mirror should try again
    ├── BlockedUrl             (receiver.assets.guard) an asset URL we will not fetch
    ├── BlockedAddress         (receiver.assets.guard) an address we will not dial
    └── ClientError            (receiver.client.errors) the provider's API refused, or did not answer
        └── GenerationClaimed  the generation belongs to another submission already

An exception here is a refusal. The normal results of a step are values: see `receiver.outcomes`.
"""

from typing import Any, ClassVar, Literal

SignatureFault = Literal[
    "header_count",
    "header_malformed",
    "timestamp_malformed",
    "timestamp_outside_window",
    "no_signature",
    "mismatch",
]


def variable(*path: str) -> str:
    """Return the environment variable of a field of the settings, for messages."""
    return "RECEIVER_" + "__".join(part.upper() for part in path)


class ReceiverError(Exception):
    """The root of the tree; never raised itself."""

    code: ClassVar[str] = "receiver_error"
    """Stable name, used as metric label and in JSON answers."""
    status: ClassVar[int] = 500
    """The HTTP status to use if this reaches a client."""
    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later, unchanged."""


class ConfigError(ReceiverError):
    """A setting is missing or wrong. The message says which and what to put there."""

    code = "config_error"

    def __init__(self, problem: str, *setting: str) -> None:
        """*setting*: the wrong field, or the path to it. The message begins with its environment variable."""
        super().__init__(f"{variable(*setting)}: {problem}" if setting else problem)
        self.problem = problem
        self.setting = setting


class SignatureError(ReceiverError):
    """A delivery is not genuine. Carries the reason, never the secret, the digest or the body."""

    code = "invalid_signature"
    status = 401

    def __init__(self, reason: SignatureFault) -> None:
        super().__init__(reason)
        self.reason: SignatureFault = reason


class NotJson(ReceiverError, ValueError):
    """Bytes that `JSON.parse` refuses, or that nest too deeply."""

    code = "not_json"
    status = 400


class StoreUnavailable(ReceiverError):
    """The database failed or is too busy. Nothing was promised: the sender must try again."""

    code = "store_unavailable"
    status = 503
    retryable = True


class BucketUnavailable(ReceiverError):
    """The asset bucket failed or refused us. The asset itself may be fine: mirror again later."""

    code = "bucket_unavailable"
    status = 503
    retryable = True

    def __init__(self, message: str, *, parked_s: float | None = None) -> None:
        """*parked_s*: seconds until the bucket is tried again, if it is known to be down."""
        super().__init__(message)
        self.parked_s = parked_s


def _rebuild(kind: type["ClientError"], args: tuple[Any, ...], state: dict[str, Any]) -> "ClientError":
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class ClientError(ReceiverError):
    """The root of the client's errors; never raised itself."""

    code = "client_error"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class GenerationClaimed(ClientError):
    """The generation belongs to another submission already."""

    code = "generation_claimed"
    status = 409
