"""The pace of one API key: what all programs that share its rate limit know."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyPace:
    """What all programs together know about one key."""

    limit: int | None = None
    remaining: int | None = None
    """The count from the provider, minus the requests sent since."""
    reset_at: float | None = None
    """When the window ends; None until its first answer arrives."""
    opened_at: float = 0.0
    """When the window began, as far as we know."""
    paused_until: float = 0.0
    """After a 429, nobody sends before this."""
    skew_s: float = 0.0
    """The provider's clock minus that of the writer."""
