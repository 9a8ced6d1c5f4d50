"""Whether settings could be run with, before anything is."""

from receiver import routing
from receiver.settings import Settings
from receiver.wiring.destinations import build_destination
from receiver.wiring.sources import build_sources
from receiver.wiring.stores import build_routings


def check_usable(settings: Settings) -> list[str]:
    """Return the names of the sources, in order; nothing is dialled.

    Raises:
        ConfigError: a source, a destination or its routing is wrong; the message names the setting.
    """
    names = sorted(build_sources(settings))
    build_routings(settings)
    for name, options in settings.destinations.items():
        build_destination(name, routing.take(name, options)[1])
    return names
