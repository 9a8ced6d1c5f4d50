"""What can be turned to make the sandbox behave like a good provider, or a bad one."""

from dataclasses import dataclass
from typing import Final, Literal

DEFAULT_WEBHOOK_SECRET: Final = "whsec_sandbox_0123456789abcdef"  # noqa: S105  # a test value, on purpose
"""Signs the sandbox's webhooks unless another is given. Everybody knows it: it protects nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Every behaviour that can be chosen. Rates are probabilities, from 0 to 1; times are in seconds."""

    progression: Literal["timed", "immediate", "manual"] = "timed"
    """`immediate`: finished in the answer to it. `manual`: `complete` or `fail_generation` says when."""
    image_delay_s: float = 1.0
    """From the request to the finished image."""
    video_delay_s: float = 2.0
    failure_rate: float = 0.0
    """How many generations fail. One whose prompt holds `[fail]` or `[fail: reason]` always does."""
    refund_failures: bool = False
    """Whether the credits of a failed generation come back, which the document does not say."""
    credits: int = 1_000_000
    """What each account starts with."""
    rate_limit: int = 60
    """Requests per window and API key."""
    rate_window_s: int = 60

    loss_rate: float = 0.0
    """How many webhooks are never sent."""
    duplicate_rate: float = 0.05
    """How many webhooks are sent twice, as happens when an answer is lost."""
    reorder_rate: float = 0.0
    """How many webhooks wait until the next one was sent, but no longer than `reorder_wait_s`."""
    reorder_wait_s: float = 5.0
    late_rate: float = 0.0
    """How many webhooks come first with a signature older than the document's window."""
    wrong_secret_rate: float = 0.0
    """How many webhooks come first with a signature by another secret."""
    webhook_delay_s: float = 0.0
    """From the end of a generation to its webhook."""
    webhook_signature: Literal["one", "two", "reversed"] = "one"
    """`two`: one by a former secret stands before the right one. `reversed`: `v1` stands before `t`."""
    webhook_body: Literal["compact", "pretty", "escaped"] = "compact"
    """How the JSON is sent. The signature covers what `JSON.stringify` prints, as the document shows."""
    webhook_timeout_s: float = 10.0
    webhook_retries_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    """Waits before each further attempt, after anything but a 2xx."""

    asset_ttl_s: float | None = None
    """How long a link to a file works; looking at the generation again gives a fresh one."""
    asset_delay_s: float = 0.0
    """Before the first byte of a file."""
    asset_chunk_delay_s: float = 0.0
    """Between the tenths of a file, so that it trickles."""
    asset_fault: Literal["none", "cut", "wrong_type", "redirect"] = "none"
    """`cut`: half of each file. `wrong_type`: as `text/html`. `redirect`: by way of another address."""

    def delay_s(self, kind: str) -> float:
        """Return how long one generation takes."""
        return self.video_delay_s if kind == "video" else self.image_delay_s
