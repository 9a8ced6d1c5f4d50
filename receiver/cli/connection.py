"""The provider's API, as the settings name it: credentials never come from the command line."""

import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from receiver.cli.advice import add_advice
from receiver.cli.output import say
from receiver.errors import ConfigError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from receiver.client import Client, Ledger, SessionClient
    from receiver.settings import Settings
    from receiver.wiring.ledgers import Shared

_QUIET_S: Final = 20.0
"""Longer than the pause between polls: a longer wait is for the rate limit."""


def load_settings() -> "Settings":
    """Read the settings.

    Raises:
        ConfigError: one of them is wrong.
    """
    from receiver.settings import Settings

    return Settings.load()


def load_settings_and_log(*, level: str | None = None) -> "Settings":
    """Read the settings and configure logging by them, or from *level* upwards.

    Raises:
        ConfigError: one of them is wrong.
    """
    settings = load_settings()
    _log(settings, level or settings.log_level)
    return settings


def load_settings_and_warn() -> "Settings":
    """Read the settings for a command that logs only warnings, and rarely.

    Raises:
        ConfigError: one of them is wrong.
    """
    from receiver.telemetry.logger import configure_at_first_line

    settings = load_settings()
    configure_at_first_line(lambda: _log(settings, "WARNING"))
    return settings


def _log(settings: "Settings", level: str) -> None:
    from receiver.telemetry import logs

    logs.configure(level=level, log_format=settings.log_format)


@contextmanager
def open_client(settings: "Settings", *, ledger: "Ledger | None" = None) -> "Iterator[Client]":
    """Offer a client for the account of `RECEIVER_API_KEY`.

    Raises:
        ConfigError: the key is not set.
    """
    from receiver.client import Client, ClientError

    key = settings.api_key.get_secret_value() if settings.api_key else ""
    if not key:
        raise ConfigError("RECEIVER_API_KEY is not set: create a key on the provider's page and set it")
    with (
        _shared(settings) as shared,
        Client(
            key,
            base_url=settings.api_base_url,
            ledger=ledger,
            events=None if shared is None else shared.events,
            pace=None if shared is None else shared.pace,
            sleep=wait_aloud,
        ) as client,
    ):
        try:
            yield client
        except ClientError as error:
            add_advice(error, "RECEIVER_API_KEY", noted=ledger is not None)
            raise


def wait_aloud(seconds: float, *, sleep: "Callable[[float], None]" = time.sleep) -> None:
    """Wait, and say why if it takes long: silence looks like a hang."""
    if seconds > _QUIET_S:
        say(f"The rate limit is used up: waiting {seconds:.0f} s.")
    sleep(seconds)


@contextmanager
def _shared(settings: "Settings") -> "Iterator[Shared | None]":
    """Offer the shared pace of a usable database, if any: most commands need none."""
    scheme, _, path = settings.database_url.get_secret_value().partition(":///")
    if scheme.startswith("sqlite") and not Path(path.partition("?")[0]).is_file():
        yield None
        return
    from receiver.wiring.ledgers import open_shared

    try:
        shared = open_shared(settings)
    except (ConfigError, StoreUnavailable):
        shared = None
    try:
        yield shared
    finally:
        if shared is not None:
            shared.close()


@contextmanager
def open_ledger(settings: "Settings") -> "Iterator[Ledger]":
    """Offer the ledger in `RECEIVER_DATABASE_URL`."""
    from receiver.wiring.ledgers import build_ledger

    with closing(build_ledger(settings)) as ledger:
        yield ledger


@contextmanager
def open_session(settings: "Settings") -> "Iterator[SessionClient]":
    """Offer a client for calls that need a signed-in session.

    Raises:
        ConfigError: the cookie is not set.
    """
    from receiver.client import ClientError, SessionClient

    cookie = settings.session_cookie.get_secret_value() if settings.session_cookie else ""
    if not cookie:
        raise ConfigError(
            "RECEIVER_SESSION_COOKIE is not set: sign in on the provider's page and copy the Cookie header"
            " that the browser sends (name=value)"
        )
    with SessionClient(cookie, base_url=settings.api_base_url) as client:
        try:
            yield client
        except ClientError as error:
            add_advice(error, "RECEIVER_SESSION_COOKIE")
            raise
