"""Checks whether settings could be run with, before anything is started."""

from receiver import routing
from receiver.admin.token import configured
from receiver.errors import ConfigError
from receiver.settings import Settings
from receiver.wiring.assets import build_fetcher, build_key_template
from receiver.wiring.destinations import build_destination
from receiver.wiring.pull import check_pull
from receiver.wiring.retention import build_retention
from receiver.wiring.sources import build_sources
from receiver.wiring.stores import build_routings
from receiver.wiring.web import build_refusals


def find_faults(settings: Settings) -> list[ConfigError]:
    """Return everything that would keep `receiver serve` from starting, by setting; nothing is dialled."""
    faults: dict[str, ConfigError] = {}
    for build in (
        build_sources,
        build_routings,
        _build_destinations,
        check_pull,
        build_fetcher,
        build_key_template,
        build_retention,
        build_refusals,
        _read_admin_token,
    ):
        try:
            build(settings)
        except ConfigError as error:
            faults.setdefault(str(error), error)
    return list(faults.values())


def _build_destinations(settings: Settings) -> None:
    for name, options in settings.destinations.items():
        build_destination(name, routing.take(name, options)[1])


def _read_admin_token(settings: Settings) -> None:
    if settings.admin_token is not None and settings.admin_token.get_secret_value():
        configured(settings.admin_token.get_secret_value())
