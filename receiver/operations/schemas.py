"""The shape of every record for operators, as JSON; the admin API's description uses these."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from typing_extensions import TypedDict  # pydantic does not support typing's before Python 3.12

Row = TypeVar("Row")


class Page(TypedDict, Generic[Row]):
    """A page of a list."""

    data: list[Row]
    next_cursor: str | None
    has_more: bool


class Listed(TypedDict, Generic[Row]):
    """A complete list."""

    data: list[Row]


class Attempt(TypedDict):
    """A failed attempt at a delivery."""

    number: int
    at: datetime
    took_s: float
    error: str
    said: str | None


class AssetAttempt(Attempt):
    """A failed attempt at an asset."""

    is_late: bool


class Asset(TypedDict):
    """The final result for an asset."""

    status: str
    url: str | None
    content_type: str | None
    size_bytes: int | None
    sha256: str | None
    width: int | None
    height: int | None
    duration_s: float | None
    error: str | None
    retried_until: datetime | None


class Delivery(TypedDict):
    """One event for one destination."""

    event_id: str
    destination: str
    state: str
    attempts: int
    error: str | None
    next_try_at: datetime | None
    waits_for: str | None
    settled_at: datetime | None
    is_claimed: bool
    operation: str | None
    source: str
    generation_id: str
    type: str
    kind: str
    received_at: datetime


class FullDelivery(Delivery):
    """A delivery with its failed attempts."""

    failed_attempts: list[Attempt]


class _EventHead(TypedDict):
    id: str
    source: str
    generation_id: str
    type: str
    kind: str
    state: str
    via: str
    received_at: datetime
    repeats: int
    attempts: int
    error: str | None
    asset: Asset | None


class Event(_EventHead):
    """An event, and how many of its deliveries are in each state."""

    deliveries: dict[str, int]


class FullEvent(_EventHead):
    """An event with everything that belongs to it."""

    deliveries: list[FullDelivery]
    failed_attempts: list[AssetAttempt]
    body: str | None


class Quarantined(TypedDict):
    """A quarantined body, without the body."""

    id: str
    source: str
    reason: str
    state: str
    received_at: datetime
    repeats: int
    size_bytes: int
    event_id: str | None
    operation: str | None


class FullQuarantined(Quarantined):
    """A quarantined body, in full."""

    body: str | None


class Operation(TypedDict):
    """A bulk command and its progress."""

    id: str
    kind: str
    state: str
    matched: int
    changed: int
    deliveries: dict[str, int]
    begun_at: datetime
    touched_at: datetime
    filter: dict[str, Any]
    destinations: list[str]
    rate: float


class Counted(TypedDict):
    """What an operation would change."""

    kind: str
    matched: int
    changed: int
    dry_run: bool


class Refused(TypedDict):
    """An address, and how many of its requests this process refused."""

    address: str
    requests: int


class Refusals(TypedDict):
    """The addresses refused most in the last minutes."""

    minutes: int
    data: list[Refused]


class Destination(TypedDict):
    """The state of one destination."""

    name: str
    kind: str | None
    state: str
    pending: int
    oldest_pending_s: int | None
    delivered: int
    dead: int
    last_error: str | None
    paused_at: datetime | None
    reason: str | None


class Backfill(TypedDict):
    """The progress of a backfill."""

    destination: str
    since: datetime | None
    until: datetime
    events: int
    created: int
    existing: int
    dry_run: bool


class Progress(Backfill):
    """A backfill in this process: `running`, `done` or `interrupted`."""

    state: str
    is_capped: bool


class Tested(TypedDict):
    """The outcome of a test message."""

    delivered: bool
    receipt: str | None
    error: str | None


class Stage(TypedDict):
    """The backlog of one stage, and the time to drain it."""

    stage: str
    state: str | None
    waiting: int
    is_capped: bool
    oldest_s: int | None
    per_minute: float
    gone_s: int | None
    error: str | None


class Worker(TypedDict):
    """A worker: `alive`, `stopped` or `gone`; null is what the previous release did not report."""

    host: str | None
    pid: int | None
    spool: str
    seen_at: datetime
    state: str


class Outage(TypedDict):
    """A bucket or an asset host that a worker finds down."""

    kind: str
    name: str
    since: datetime
    error: str


class RateLimit(TypedDict):
    """Requests per minute of an API key, from the provider's latest answer."""

    source: str
    limit: int | None
    left: int | None


class Credits(TypedDict):
    """Credits when the provider last refused a generation for lack of them."""

    source: str
    left: int | None
    refused_at: datetime


class Status(TypedDict):
    """The state of everything, on one screen."""

    stages: list[Stage]
    outages: list[Outage]
    dead_letters: int
    quarantined: int
    workers_alive: int
    workers: list[Worker]
    rate_limits: list[RateLimit]
    credits: list[Credits]


class HistoryEntry(TypedDict):
    """One past or planned step of a generation."""

    source: str
    generation_id: str
    at: datetime | None
    what: str
    detail: str
    event_id: str | None


class Deed(TypedDict):
    """One line of the audit log."""

    id: str
    at: datetime
    who: str
    what: str
    on: str


class Intervened(TypedDict):
    """Whether anything was done for one event."""

    event_id: str
    done: bool


class Submission(TypedDict):
    """A request of our client under a reference."""

    client_ref: str
    kind: str
    state: str
    generation_id: str | None
    sent_at: datetime | None
    error: str | None


class Setting(TypedDict):
    """A setting in effect; for a secret, its fingerprint."""

    name: str
    """Its environment variable."""
    value: str
    origin: str
    """`environment`, `receiver.toml` or `default`."""
    is_secret: bool


class Erased(TypedDict):
    """Data of one generation that was, or would be, erased."""

    generation_id: str
    source: str
    outcome: str
    bodies: int
    deliveries: int
    submissions: int
    quarantined: int
    assets: int
    shared_assets: list[str]


class ErrorBody(TypedDict):
    """The error in a request."""

    code: str
    message: str
    details: dict[str, Any]


class Error(TypedDict):
    """A refusal."""

    error: ErrorBody


class Pruning(TypedDict):
    """The progress of pruning in this process: `never`, `running`, `done` or `interrupted`."""

    state: str
    dry_run: bool
    rows: dict[str, int]
