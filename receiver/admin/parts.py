"""The parts behind the private listener, which the process gives to the API and the console."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from receiver.admin.gauges import Watched
from receiver.admin.runner import Runner
from receiver.assets.by_source import BucketsBySource
from receiver.operations import schemas
from receiver.operations.erasing import Erasing
from receiver.operations.next_try import Configured
from receiver.operations.pruning import Retention
from receiver.operations.stages import Overview, overview
from receiver.outcomes import Outcome
from receiver.store import Store
from receiver.store.fanout import Route
from receiver.submissions import Submission
from receiver.telemetry.refusals import Refusals


@dataclass(frozen=True, slots=True)
class Target:
    """A configured destination."""

    kind: str
    """Only the scheme of its URL, because the rest may contain a password."""
    send_test: Callable[[], Awaitable[Outcome]]
    """Sends one test message, on a separate connection."""


class Desk(Protocol):
    """Settles submissions that are in doubt."""

    async def list(self, state: str | None, limit: int) -> Sequence[Submission]:
        """Return up to *limit* of those in *state*, None: all, the latest first."""
        ...

    async def adopt(self, client_ref: str, generation_id: str, *, force: bool = False) -> Submission:
        """Record that a submission became this generation, if it matches the request or with *force*.

        Raises:
            ReceiverError: it is not, or the provider does not answer.
        """
        ...

    async def recover(self, client_ref: str) -> Submission:
        """Find a submission's generation in the provider's list, and record it.

        Raises:
            ReceiverError: it is not in doubt, or not exactly one matches.
        """
        ...

    async def abandon(self, client_ref: str) -> Submission:
        """Record that a submission was never accepted.

        Raises:
            ReceiverError: it is not in doubt.
        """
        ...


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """A bucket, and the source of its assets."""

    source: str
    """`*` for all sources without one of their own."""
    url: str


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the listener shows and does."""

    store: Store
    refusals: Refusals
    runner: Runner
    targets: Mapping[str, Target]
    route: Route
    buckets: BucketsBySource
    addresses: Sequence[BucketAddress]
    desk: Desk
    settings: Sequence[schemas.Setting]
    late_s: float
    """How long an asset that was given up is retried."""
    retention: Retention
    erasing: Erasing
    watched: Watched = Watched()  # noqa: RUF009  it is frozen
    """What the metrics tell besides."""

    async def overview(self, now_ms: int) -> Overview:
        """Return the state of everything on one screen."""
        names, lease_s = tuple(self.targets), self.watched.lease_s
        return await self.store.transact(overview, names, now_ms=now_ms, lease_s=lease_s)

    @property
    def configured(self) -> Configured:
        """What the settings say that work depends on."""
        kinds = {name: target.kind for name, target in self.targets.items()}
        return Configured(kinds, self.watched.with_own_bucket, self.watched.lease_s)
