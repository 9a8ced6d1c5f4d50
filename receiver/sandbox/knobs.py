"""Knobs that make the sandbox behave like a good provider, or a bad one."""

from dataclasses import dataclass
from typing import Final, Literal

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
