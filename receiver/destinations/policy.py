"""The options of every destination: how fast and how often we send, and when we pause.

They apply to each worker process: two workers send twice as fast.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

from receiver.destinations.options import count, number, option, read_options, seconds, setting
from receiver.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How to send to one destination."""

    batch_size: int | None = option(count(at_most=10_000), None)
    """The most messages in one batch; None: the destination's maximum."""
    concurrency: int = option(count(at_most=64), 1)
    """Batches in progress at once. A destination that sends a batch in several requests has its own
    option."""
    rate_limit: float | None = option(number("messages per second", at_most=100_000), None)
    """Messages per second; None: no limit."""
    attempts: int | None = option(count(at_most=1_000_000), None)
    """Counted failures until a delivery is a dead letter; None: `RECEIVER_FORWARD_ATTEMPTS`."""
    backoff_first_s: float = option(seconds, 1.0)
    """Ceiling of the wait after the first failure; it doubles with each."""
    backoff_max_s: float = option(seconds, 3600.0)
    """No ceiling is higher than this."""
    breaker_failures: int = option(count(at_most=10_000), 5)
    """Completely failed batches in a row that open the breaker."""
    breaker_max_s: float = option(seconds, 60.0)
    """No pause between two probes is longer than this, unless the destination asks for more."""


def take_policy(
    name: str, options: Mapping[str, str], *, own: Collection[str] = ()
) -> tuple[DeliveryPolicy, dict[str, str]]:
    """Split the *options* of the destination *name*: the policy, and the destination's own.

    Options that the destination reads itself, its *own*, always go to it.

    Raises:
        ConfigError: a value cannot be read, or contradicts another; the message names the setting.
    """
    ours = {field.name for field in fields(DeliveryPolicy)} - set(own)
    taken = {key: text for key, text in options.items() if key.lower() in ours}
    rest = {key: text for key, text in options.items() if key not in taken}
    policy = read_options(DeliveryPolicy, name, taken)
    if policy.backoff_first_s > policy.backoff_max_s:
        first, longest = setting(name, "backoff_first_s"), setting(name, "backoff_max_s")
        raise ConfigError(f"{first} must not be above {longest}, which is {policy.backoff_max_s:g}")
    return policy, rest


def batch_size(policy: DeliveryPolicy, name: str, *, max_batch: int) -> int:
    """Return the batch size for a destination whose maximum is *max_batch*.

    Raises:
        ConfigError: the setting exceeds that maximum.
    """
    if policy.batch_size is not None and policy.batch_size > max_batch:
        raise ConfigError(
            f"{setting(name, 'batch_size')} must be at most {max_batch}, all that this destination takes"
        )
    return policy.batch_size or max_batch
