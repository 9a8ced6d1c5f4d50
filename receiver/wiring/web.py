"""The public application."""

from starlette.applications import Starlette

from receiver.settings import Settings
from receiver.store import Store
from receiver.web.app import build_app
from receiver.wiring.sources import build_sources


def build_web(settings: Settings, store: Store) -> Starlette:
    """Build the public application.

    Raises:
        ConfigError: no source is configured, or one has a secret that is too short to be one.
    """
    return build_app(build_sources(settings), store)
