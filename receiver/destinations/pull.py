"""Keep events in the store until consumers fetch them, for consumers without a broker or behind a firewall.

Nothing is sent: `receiver.pull` gives consumers the deliveries in the outbox.
See docs/destinations/pull.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from receiver.destinations import Message
from receiver.destinations.options import count, matching, option, read_options, seconds, setting
from receiver.errors import ConfigError
from receiver.outcomes import Delivered, GivenUp, Outcome, Retry

SCHEME: Final = "pull"


check_token: Final = matching(
    "[!-~]{16,}",
    "at least 16 printable ASCII characters without blanks, such as `openssl rand -hex 32` prints",
)
"""Returns a token that consumers can carry, or raises ValueError."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options besides the URL."""

    token: str | None = option(check_token, None, secret=True)
    """Its consumers' token; None: `RECEIVER_PULL_TOKEN`."""
    visibility_s: float = option(seconds, 60.0)
    """How long a leased message is hidden from other consumers, unless its consumer asks for another time."""
    max_receives: int = option(count(at_most=1_000_000), 10)
    """A message leased this often without acknowledgement becomes a dead letter."""


def read(name: str, url: str, options: Mapping[str, str]) -> Options:
    """Parse *url* and *options* of the destination called *name*.

    Raises:
        ConfigError: the URL is not exactly `pull:`, or an option is wrong.
    """
    if url.strip().partition(":")[2].strip("/"):
        raise ConfigError(f"{setting(name, 'url')} must be pull: and nothing else")
    return read_options(Options, name, options)


def connect(name: str, url: str, options: Mapping[str, str]) -> "Pull":
    """Return the destination for `pull:`. See `receiver.destinations.Connect`."""
    read(name, url, options)
    return Pull()


class Pull:
    """A destination that we do not send to: its consumers fetch messages."""

    max_batch: Final = 1
    concurrency: Final = 1

    async def send(self, batch: Sequence[Message]) -> Sequence[Outcome]:
        """Refuse: consumers fetch their messages."""
        return [GivenUp("nothing is sent to a pull: destination; its consumers fetch what waits")] * len(
            batch
        )

    async def check(self) -> Delivered | Retry:
        """Report success: consumers connect to us."""
        return Delivered("consumers fetch from `receiver pull`")

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""
