"""The emulated provider: its state and its workers, wired together."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from receiver.sandbox.access import RateLimits
from receiver.sandbox.assets import Assets
from receiver.sandbox.clock import Clock
from receiver.sandbox.courier import Courier
from receiver.sandbox.dialect import Dialect
from receiver.sandbox.faults import FaultQueues
from receiver.sandbox.state import ApiKey, Knobs, State
from receiver.sandbox.studio import Studio

OPERATION_NAMES = (
    "generate.image",
    "generate.video",
    "generations.list",
    "generations.get",
    "models.list",
    "webhooks.create",
    "webhooks.list",
    "webhooks.update",
    "webhooks.delete",
    "keys.create",
    "keys.list",
    "keys.revoke",
    "asset.get",
)
"""The operations that a fault can be queued for."""


@dataclass(frozen=True, slots=True)
class _Skewed:
    """A clock that is wrong by this many seconds."""

    right: Clock
    skew_s: float

    def now(self) -> float:
        """Return the wrong time, in seconds since the epoch."""
        return self.right.now() + self.skew_s

    async def sleep(self, seconds: float) -> None:
        """Return that much later."""
        await self.right.sleep(seconds)


class Provider:
    """Everything behind the API."""

    def __init__(
        self, knobs: Knobs, clock: Clock, dialect: Dialect, *, seed: int | None, webhook_secret: str
    ) -> None:
        self.given_clock = clock
        self.clock = clock if not dialect.clock_skew_s else _Skewed(clock, dialect.clock_skew_s)
        self.dialect = dialect
        self.webhook_secret = webhook_secret
        self.state = State(knobs, seed=seed)
        self.faults = FaultQueues(OPERATION_NAMES)
        self.limits = RateLimits(knobs.rate_limit, knobs.rate_window_s, dialect)
        self.assets = Assets(self.state, self.clock, dialect)
        self.courier = Courier(self.state, self.clock, dialect, secret=webhook_secret)
        self.studio = Studio(self.state, self.clock, self.assets, self.courier, dialect)

    def origin(self, request: Request) -> str:
        """Return the scheme, host and port that *request* used; its assets have the same."""
        return str(request.base_url).rstrip("/")

    def add_key(
        self,
        *,
        name: str,
        account: str,
        scopes: Sequence[str],
        ip_allowlist: Sequence[str],
        expires_at: float | None,
    ) -> ApiKey:
        """Make an API key."""
        key = ApiKey(
            key=self.dialect.key_prefix + self.state.token(32),
            id=f"key_{self.state.token(12)}",
            name=name,
            account=account,
            scopes=tuple(scopes),
            ip_allowlist=tuple(ip_allowlist),
            expires_at=expires_at,
            created_at=self.clock.now(),
        )
        self.state.keys[key.key] = key
        return key

    def new_webhook_secret(self) -> str:
        """Return the secret for a webhook that is being registered."""
        return (
            f"whsec_{self.state.token(32)}" if self.dialect.webhook_secrets == "each" else self.webhook_secret
        )

    def turn(self, knobs: Knobs) -> None:
        """Use these knobs from now on."""
        self.state.knobs = knobs
        self.limits.limit, self.limits.window_s = knobs.rate_limit, knobs.rate_window_s

    async def close(self) -> None:
        """Drop unfinished work and close connections."""
        await self.studio.close()
        await self.courier.close()
