"""How long to wait for the provider."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long to wait for the provider, in seconds."""

    connect_s: float = 5.0
    read_s: float = 30.0
    """For the next bytes of an answer."""
    total_s: float = 60.0
    """For a whole exchange, however slowly its answer arrives. Downloads may take longer, as long as bytes
    arrive."""
