"""All of the sandbox's state, in one place."""

import random
from collections import defaultdict
from dataclasses import dataclass, field

from receiver.contract import DEFAULT_IMAGE_FORMAT, DEFAULT_VIDEO_SECONDS, EVENT_TYPES, SCOPES, Kind
from receiver.sandbox.knobs import Knobs

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
