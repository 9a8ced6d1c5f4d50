"""How long to wait before the next attempt."""

from dataclasses import dataclass

_MAX_DOUBLINGS = 32


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: a random wait between nothing and a ceiling that doubles with every attempt.

    Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    first_s: float = 1.0
    """Ceiling after the first attempt, in seconds."""
    max_s: float = 3600.0
    """No ceiling is higher than this, in seconds."""

    def delay_s(self, attempts: int, chance: float) -> float:
        """Return the wait in seconds after *attempts* (1 or more), for a random *chance* in [0, 1)."""
        doublings = min(max(attempts - 1, 0), _MAX_DOUBLINGS)
        return chance * min(self.max_s, self.first_s * 2.0**doublings)
