"""The pace of one API key: what all programs that share its rate limit know."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyPace:
    """What all programs together know of one key."""

    limit: int | None = None
    remaining: int | None = None
    """What the provider said, less what was sent since."""
    reset_at: float | None = None
    """When the window ends; None if the first answer of it is not there yet."""
    opened_at: float = 0.0
    """When the window began, as far as we know."""
    paused_until: float = 0.0
    """After a 429 nobody sends before."""
    skew_s: float = 0.0
    """The provider's clock minus that of the writer."""
