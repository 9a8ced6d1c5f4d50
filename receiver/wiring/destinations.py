"""Destinations, and how to send to each."""

from collections.abc import Mapping, Sequence

from receiver.destinations import Destination, open_destination, own_options, pull
from receiver.destinations.policy import DeliveryPolicy, take_policy
from receiver.errors import ConfigError, variable
from receiver.settings import Settings


def build_destination(name: str, options: Mapping[str, str]) -> Destination:
    """Return the destination called *name*; nothing is dialled yet.

    Raises:
        ConfigError: the URL is missing or unusable, an option is wrong, or its client library is missing.
    """
    url, own = _address(name, options)
    if not is_pulled(options):
        _, own = take_policy(name, own, own=own_options(name, url))
    return open_destination(name, url, own)


def _address(name: str, options: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    if "url" not in options:
        raise ConfigError(f"{variable('destinations', name, 'url')} is not set: say where {name!r} is")
    return options["url"], {key: value for key, value in options.items() if key != "url"}


def is_pulled(options: Mapping[str, str]) -> bool:
    """Whether consumers pull messages from the destination with these *options*."""
    return options.get("url", "").strip().partition(":")[0].lower() == pull.SCHEME


def pull_options(name: str, options: Mapping[str, str]) -> pull.Options:
    """Return how consumers pull from the destination called *name*.

    Raises:
        ConfigError: an option is wrong, or only applies to destinations that we send to.
    """
    return pull.read(name, *_address(name, options))


def delivery_policy(name: str, options: Mapping[str, str]) -> DeliveryPolicy:
    """Return how to send to the destination called *name*."""
    return take_policy(name, options, own=own_options(name, options["url"]))[0]


def replay_destinations(settings: Settings, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return where a replay goes: to *names*, or to every configured destination.

    Raises:
        ConfigError: none is configured, or one of *names* is not.
    """
    configured = tuple(settings.destinations)
    if not configured:
        raise ConfigError(f"{variable('destinations')}__<NAME>__URL is not set: there is no destination")
    for name in names:
        if name not in configured:
            raise ConfigError(
                f"{variable('destinations', name, 'url')} is not set: the destinations are"
                f" {', '.join(configured)}"
            )
    return tuple(dict.fromkeys(names)) or configured
