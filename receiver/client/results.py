"""The provider's answers, typed. Unknown fields stay in `raw`; unknown statuses stay strings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from receiver.contract import STATUSES

Raw = Mapping[str, Any]
T = TypeVar("T")


class _Rows(Generic[T]):
    """Rows that can be iterated and counted."""

    __slots__ = ()

    data: tuple[T, ...]

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Generation:
    """One image or video, finished or in progress."""

    id: str
    status: str
    """`processing`, `completed` or `failed`; an unknown word means "not finished yet"."""
    type: str | None
    prompt: str | None
    model: str | None
    credits_charged: int | None
    output_url: str | None = field(repr=False)
    """The file's URL, once completed. Often signed and short-lived: keep it out of logs."""
    error: str | None
    """Why it failed, in the provider's words."""
    created_at: datetime | None
    completed_at: datetime | None
    raw: Raw = field(repr=False, compare=False)
    """The provider's complete object."""

    @property
    def finished(self) -> bool:
        """Whether the status is final."""
        return self.status in STATUSES and self.status != "processing"


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the provider."""

    id: str
    name: str | None
    type: str | None
    credits_per_generation: int | None
    description: str | None
    category: str | None
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Webhook:
    """One registered webhook."""

    id: str
    url: str | None = field(repr=False)
    events: tuple[str, ...]
    secret: str | None = field(repr=False)
    """The signing secret, if the provider showed it; it may never show it again."""
    created_at: datetime | None
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One verified webhook delivery. The pair (`event`, `generation.id`) names it: deliveries repeat."""

    event: str
    generation: Generation
    created_at: datetime | None
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class GenerationPage(_Rows[Generation]):
    """One page of a list."""

    data: tuple[Generation, ...]
    total: int | None
    """The provider's count, which its document does not explain: only a hint."""
    raw: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ModelList(_Rows[Model]):
    """The models on offer."""

    data: tuple[Model, ...]
    total: int | None
    raw: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class WebhookList(_Rows[Webhook]):
    """The registered webhooks."""

    data: tuple[Webhook, ...]
    raw: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key of the account."""

    id: str
    name: str | None
    scopes: tuple[str, ...]
    ip_allowlist: tuple[str, ...]
    expires_at: datetime | None
    created_at: datetime | None
    key: str | None = field(repr=False)
    """The key itself, if the provider showed it; it may never show it again."""
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ApiKeyList(_Rows[ApiKey]):
    """The account's API keys."""

    data: tuple[ApiKey, ...]
    raw: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The provider's rate limit for this API key, as last seen."""

    limit: int | None
    remaining: int | None
    reset_at: float | None
    """When the window ends, in seconds since the epoch by the client's clock."""
    skew_s: float
    """The provider's clock minus ours, in seconds."""
    observed_at: float
