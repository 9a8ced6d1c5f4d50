"""The public application, and its memory of refused requests."""

from ipaddress import ip_network

from receiver.errors import ConfigError, variable
from receiver.settings import Settings
from receiver.store import Store
from receiver.telemetry.refusals import Network, Refusals
from receiver.web.app import PublicApp
from receiver.wiring.sources import build_sources


def build_web(settings: Settings, store: Store, refusals: Refusals) -> PublicApp:
    """Build the public application.

    Raises:
        ConfigError: no source is configured, or a secret is too short.
    """
    return PublicApp(build_sources(settings), store.record, store.check, refusals)


def build_refusals(settings: Settings) -> Refusals:
    """Build the memory of refused requests.

    Raises:
        ConfigError: a trusted proxy is neither an address nor a network.
    """
    return Refusals(trusted=[_network(text) for text in settings.trusted_proxies])


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigError(
            f"{variable('trusted_proxies')}: {error}; write addresses or networks, 127.0.0.1 or 10.0.0.0/8"
        ) from error
