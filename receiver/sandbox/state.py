"""All of the sandbox's state, and the knobs that say how it behaves."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final, Literal

from receiver.contract import DEFAULT_IMAGE_FORMAT, DEFAULT_VIDEO_SECONDS, EVENT_TYPES, SCOPES, Kind

DEFAULT_WEBHOOK_SECRET: Final = "whsec_sandbox_0123456789abcdef"  # noqa: S105  # a test value, on purpose
"""Signs the sandbox's webhooks unless another is given. Everybody knows it, so it protects nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Every configurable behaviour. Rates are probabilities from 0 to 1; times are in seconds."""

    progression: Literal["timed", "immediate", "manual"] = "timed"
    """`immediate`: finished in the response. `manual`: when `complete` or `fail_generation` is called."""
    image_delay_s: float = 1.0
    """From the request to the finished image."""
    video_delay_s: float = 2.0
    failure_rate: float = 0.0
    """The share of generations that fail. A prompt with `[fail]` or `[fail: reason]` always fails."""
    refund_failures: bool = False
    """Whether a failed generation's credits are refunded, which the document leaves open."""
    credits: int = 1_000_000
    """The credits that each account starts with."""
    rate_limit: int = 60
    """Requests per window and API key."""
    rate_window_s: int = 60

    loss_rate: float = 0.0
    """The share of webhooks that are never sent."""
    duplicate_rate: float = 0.05
    """The share of webhooks that are sent twice, as happens when a response is lost."""
    reorder_rate: float = 0.0
    """The share of webhooks held until the next one is sent, but no longer than `reorder_wait_s`."""
    reorder_wait_s: float = 5.0
    late_rate: float = 0.0
    """The share of webhooks first sent with a signature older than the document's window."""
    wrong_secret_rate: float = 0.0
    """The share of webhooks first sent with a signature by another secret."""
    webhook_delay_s: float = 0.0
    """From the end of a generation to its webhook."""
    webhook_signature: Literal["one", "two", "reversed"] = "one"
    """`two`: one by a former secret precedes the right one. `reversed`: `v1` precedes `t`."""
    webhook_body: Literal["compact", "pretty", "escaped"] = "compact"
    """How the JSON is sent. The signature covers what `JSON.stringify` prints, as the document shows."""
    webhook_timeout_s: float = 10.0
    webhook_retries_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    """The delay before each further attempt, after anything but a 2xx."""

    asset_ttl_s: float | None = None
    """How long a link to a file works. Getting the generation again gives a new link."""
    asset_delay_s: float = 0.0
    """The delay before the first byte of a file."""
    asset_chunk_delay_s: float = 0.0
    """The delay between tenths of a file, so that it trickles."""
    asset_fault: Literal["none", "cut", "wrong_type", "redirect"] = "none"
    """`cut`: half of each file. `wrong_type`: as `text/html`. `redirect`: via another address."""

    def delay_s(self, kind: str) -> float:
        """Return how long one generation takes."""
        return self.video_delay_s if kind == "video" else self.image_delay_s


DEFAULT_SEED = 1
ACCOUNT = "default"
"""The account that everything belongs to unless another is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One API key and what it may do."""

    key: str = field(repr=False)
    id: str = ""
    name: str = ""
    account: str = ACCOUNT
    scopes: tuple[str, ...] = SCOPES
    ip_allowlist: tuple[str, ...] = ()
    """Addresses or networks; empty allows all."""
    expires_at: float | None = None
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """One generation, as requested."""

    type: Kind
    prompt: str
    model: str
    credits: int
    aspect_ratio: str
    webhook_url: str | None
    output_format: str = DEFAULT_IMAGE_FORMAT
    duration: int = DEFAULT_VIDEO_SECONDS


@dataclass(slots=True)
class Generation:
    """One generation, from request to end."""

    id: str
    account: str
    job: Job
    credits_charged: int
    created_at: float
    origin: str
    """Scheme, host and port where its asset can be found."""
    status: str = "processing"
    completed_at: float | None = None
    output_url: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Webhook:
    """One registered webhook."""

    id: str
    account: str
    url: str
    secret: str = field(repr=False)
    created_at: float
    events: tuple[str, ...] = EVENT_TYPES
    failures_in_a_row: int = 0
    """Undelivered events in a row, since one last arrived or the webhook was last changed."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt to deliver a webhook."""

    generation_id: str
    event: str
    url: str
    attempt: int
    """Counted from 1."""
    status: int | None
    """The receiver's status; None if it did not respond."""
    at: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that reached the API."""

    operation: str
    status: int
    """The status of the response; 0 if there was none."""


class State:
    """The sandbox's memory. Only its event loop writes, except as `Sandbox` says; any thread may read."""

    def __init__(self, knobs: Knobs, *, seed: int | None) -> None:
        self.random = random.Random(DEFAULT_SEED if seed is None else seed)  # noqa: S311  # repeatable on purpose
        # A receiver that keeps its database would mistake a reused id for a generation it knows.
        self._ids = random.SystemRandom() if seed is None else self.random
        self.knobs = knobs
        self.keys: dict[str, ApiKey] = {}
        self.sessions: dict[str, str] = {}
        """The account of each session."""
        self.credits: defaultdict[str, int] = defaultdict(lambda: self.knobs.credits)
        self.generations: dict[str, Generation] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.sent: list[Sent] = []
        self.lost: list[str] = []
        """The generation of each webhook lost on purpose."""
        self.seen: list[Seen] = []

    def token(self, length: int) -> str:
        """Return *length* random characters, the same in every run with the same seed."""
        return _characters(self.random, length)

    def generation_id(self) -> str:
        """Return a new generation id, unique across runs unless a seed was chosen."""
        return f"gen_{_characters(self._ids, 12)}"


def _characters(chance: random.Random, length: int) -> str:
    return "".join(chance.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=length))
