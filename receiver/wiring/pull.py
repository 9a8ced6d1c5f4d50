"""The API that consumers pull from, and their tokens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from receiver import routing
from receiver.destinations.pull import Options, check_token
from receiver.errors import ConfigError, variable
from receiver.pull.app import build_app
from receiver.pull.queue import Bell, PullQueue
from receiver.routing import Routing
from receiver.settings import Settings
from receiver.store import Store
from receiver.wiring.destinations import is_pulled, pull_options


def pulled(settings: Settings) -> list[str]:
    """Return the names of the destinations whose consumers pull their messages."""
    return [name for name, options in settings.destinations.items() if is_pulled(options)]


@asynccontextmanager
async def open_pull(settings: Settings, store: Store) -> AsyncIterator[ASGIApp]:
    """Provide the application; waiting requests end when the block does.

    Raises:
        ConfigError: an option of a `pull:` destination is wrong, or one has no token.
    """
    tokens = check_pull(settings)
    queues = [_queue(settings, store, name) for name in tokens]
    bell = Bell(store, list(tokens), poll_s=settings.poll_s)
    ringing = asyncio.create_task(bell.run())
    try:
        yield build_app(store, queues, bell, tokens=tokens)
    finally:
        bell.stop()
        ringing.cancel()
        await asyncio.gather(ringing, return_exceptions=True)


def check_pull(settings: Settings) -> dict[str, str]:
    """Return the token for the consumers of each `pull:` destination.

    Raises:
        ConfigError: an option of a `pull:` destination is wrong, or one has no token.
    """
    return {
        name: _options(settings, name)[1].token or _common_token(settings, name) for name in pulled(settings)
    }


def _queue(settings: Settings, store: Store, name: str) -> PullQueue:
    wanted, options = _options(settings, name)
    return PullQueue(store, name, options.visibility_s, options.max_receives, wanted)


def _options(settings: Settings, name: str) -> tuple[Routing, Options]:
    wanted, own = routing.take(name, settings.destinations[name])
    return wanted, pull_options(name, own)


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
