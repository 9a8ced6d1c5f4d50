"""The provider's API for Python programs: `Client` blocks, `AsyncClient` awaits, both do the same."""

from typing import TYPE_CHECKING, Any

from receiver.client import webhooks
from receiver.client.blocking.client import Client
from receiver.client.blocking.session import SessionClient
from receiver.client.errors import (
    ApiError,
    DownloadFailed,
    ExpiredApiKey,
    Forbidden,
    GenerationFailed,
    InsufficientCredits,
    InsufficientScope,
    InvalidApiKey,
    InvalidParameter,
    InvalidRequest,
    IpNotAllowed,
    MissingApiKey,
    NoAnswer,
    NotCharged,
    NotFound,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
    WaitTimeout,
)
from receiver.client.ledger import Events, Ledger, MemoryLedger
from receiver.client.parameters import INHERIT, OMIT
from receiver.client.results import (
    ApiKey,
    ApiKeyList,
    Generation,
    GenerationPage,
    Model,
    ModelList,
    RateLimit,
    Webhook,
    WebhookEvent,
    WebhookList,
)
from receiver.client.shared_pace import PaceStore
from receiver.client.webhooks import unwrap
from receiver.client.wire import Timeout
from receiver.contract import (
    EventType,
    ImageAspectRatio,
    ImageFormat,
    Kind,
    Scope,
    Status,
    VideoAspectRatio,
)
from receiver.errors import (
    ClientError,
    ConfigError,
    GenerationClaimed,
    NotJson,
    SignatureError,
    SignatureFault,
    StoreUnavailable,
)
from receiver.pace import KeyPace
from receiver.submissions import Submission

if TYPE_CHECKING:
    from receiver.client.aio.client import AsyncClient
    from receiver.client.aio.session import AsyncSessionClient

__all__ = [
    "INHERIT",
    "OMIT",
    "ApiError",
    "ApiKey",
    "ApiKeyList",
    "AsyncClient",
    "AsyncSessionClient",
    "Client",
    "ClientError",
    "ConfigError",
    "DownloadFailed",
    "EventType",
    "Events",
    "ExpiredApiKey",
    "Forbidden",
    "Generation",
    "GenerationClaimed",
    "GenerationFailed",
    "GenerationPage",
    "ImageAspectRatio",
    "ImageFormat",
    "InsufficientCredits",
    "InsufficientScope",
    "InvalidApiKey",
    "InvalidParameter",
    "InvalidRequest",
    "IpNotAllowed",
    "KeyPace",
    "Kind",
    "Ledger",
    "MemoryLedger",
    "MissingApiKey",
    "Model",
    "ModelList",
    "NoAnswer",
    "NotCharged",
    "NotFound",
    "NotJson",
    "NotSent",
    "OutcomeUnknown",
    "PaceStore",
    "RateLimit",
    "RateLimited",
    "Scope",
    "ServerError",
    "SessionClient",
    "SignatureError",
    "SignatureFault",
    "Status",
    "StoreUnavailable",
    "Submission",
    "Timeout",
    "Unauthorized",
    "UnexpectedResponse",
    "VideoAspectRatio",
    "WaitTimeout",
    "Webhook",
    "WebhookEvent",
    "WebhookList",
    "unwrap",
    "webhooks",
]


def __getattr__(name: str) -> Any:
    # asyncio takes as long to import as everything else here, and programs that block never need it.
    if name == "AsyncClient":
        from receiver.client.aio.client import AsyncClient  # noqa: PLC0415

        return AsyncClient
    if name == "AsyncSessionClient":
        from receiver.client.aio.session import AsyncSessionClient  # noqa: PLC0415

        return AsyncSessionClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
