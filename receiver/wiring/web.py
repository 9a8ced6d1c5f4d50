"""The public application."""

from starlette.applications import Starlette

from receiver.settings import Settings
from receiver.store import Store
from receiver.web.app import build_app
from receiver.wiring.sources import build_sources


def build_web(settings: Settings, store: Store) -> Starlette:
    """Build the public application."""
    return build_app(build_sources(settings), store)
