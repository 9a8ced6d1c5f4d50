"""The API that consumers pull from, and the tokens that they carry."""

from starlette.types import ASGIApp

from receiver import routing
from receiver.destinations.pull import check_token
from receiver.errors import ConfigError
from receiver.pull.app import build_app
from receiver.pull.bell import Bell
from receiver.pull.queue import PullQueue
from receiver.settings import Settings, variable
from receiver.store import Store
from receiver.wiring.destinations import is_pulled, pull_options


def pulled(settings: Settings) -> list[str]:
    """Return the names of the destinations whose consumers come for their messages."""
    return [name for name, options in settings.destinations.items() if is_pulled(options)]


def build_pull(settings: Settings, store: Store) -> tuple[ASGIApp, Bell]:
    """Build the application, and what wakes those who wait in it.

    Raises:
        ConfigError: an option of a `pull:` destination is wrong, or one has no token.
    """
    queues, tokens = [], {}
    for name in pulled(settings):
        wanted, own = routing.take(name, settings.destinations[name])
        options = pull_options(name, own)
        queues.append(PullQueue(store, name, options.visibility_s, options.max_receives, wanted))
        tokens[name] = options.token or _common_token(settings, name)
    bell = Bell(store, [one.name for one in queues], poll_s=settings.poll_s)
    return build_app(store, queues, bell, tokens=tokens), bell


def _common_token(settings: Settings, name: str) -> str:
    text = settings.pull_token.get_secret_value() if settings.pull_token else ""
    if not text:
        own = variable("destinations", name, "token")
        raise ConfigError(
            f"{variable('pull_token')} is not set, and neither is {own}: nobody could pull from {name!r}"
        )
    try:
        return check_token(text)
    except ValueError as error:
        raise ConfigError(f"{variable('pull_token')} must be {error}") from None
