"""The private application, and the token that protects it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp

from receiver.admin.app import beside, build_app
from receiver.admin.parts import Parts
from receiver.admin.runner import Runner
from receiver.admin.token import Token, configured, kept
from receiver.errors import ConfigError, variable
from receiver.settings import Settings
from receiver.store import Store
from receiver.telemetry.refusals import Refusals
from receiver.wiring.parts import open_parts

Open = Callable[[Parts, str], AbstractAsyncContextManager[ASGIApp]]

_CONSOLE_LIBRARIES: Final = ("itsdangerous", "jinja2", "leather", "markupsafe")


@asynccontextmanager
async def open_admin(
    settings: Settings, store: Store, refusals: Refusals, runner: Runner
) -> AsyncIterator[tuple[ASGIApp, Token]]:
    """Build the private application; *runner* carries out its operations.

    Raises:
        ConfigError: there is no token and nowhere to store one, or only a generated token would protect a
            listener that other machines can reach.
    """
    token = build_token(settings, store)
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(open_parts(settings, store, refusals, runner))
        console = None
        if open_console := _console():
            console = await stack.enter_async_context(open_console(parts, token.text))
        yield beside(console, build_app(parts, token.text)), token


def _console() -> Open | None:
    """Return the function that opens the console, if its libraries are installed."""
    try:
        from receiver.console.app import open_console  # noqa: PLC0415  needs the extra
    except ModuleNotFoundError as error:
        if error.name not in _CONSOLE_LIBRARIES:
            raise
        return None
    return open_console


def build_token(settings: Settings, store: Store) -> Token:
    """Return the token of the private listener: the configured one, or one stored next to the SQLite file.

    Raises:
        ConfigError: the configured one is too short or cannot be in a header; or there is none, and other
            machines can reach the listener, or there is no SQLite file, or the stored one cannot be used.
    """
    name = variable("admin_token")
    if settings.admin_token is not None and settings.admin_token.get_secret_value():
        return configured(settings.admin_token.get_secret_value())
    if not _is_loopback(settings.admin_host):
        raise ConfigError(
            f"{name} is not set, and {variable('admin_host')} is reachable from other machines: set the token"
        )
    if not store.is_embedded or store.engine.url.database is None:
        raise ConfigError(f"{name} is not set: a token can be saved only next to a SQLite file")
    return kept(Path(store.engine.url.database).parent)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
