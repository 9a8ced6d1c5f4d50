"""The store, as the commands for operators use it: opened, asked, closed."""

import getpass
import socket
from typing import TYPE_CHECKING, Final, TypeVar

from receiver.cli.connection import load_settings_and_warn
from receiver.cli.output import say
from receiver.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from receiver.operations.next_try import Configured
    from receiver.settings import Settings
    from receiver.store import Store
    from receiver.store.filters import Filter

_MOST_CHARS: Final = 128


async def note(store: "Store", what: str, on: str = "") -> None:
    """Record that the user of this machine does *what*."""
    from receiver.operations import audit

    await audit.note(store, operator(), what, on)


def operator() -> str:
    """Return the user and the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"[:_MOST_CHARS]


T = TypeVar("T")


def ask(
    work: "Callable[[Store], Awaitable[T]]",
    *,
    wanted: "Filter | None" = None,
    deed: tuple[str, str] | None = None,
) -> T:
    """Return the result of *work* on the store of `RECEIVER_DATABASE_URL`.

    If it changes something, *deed* says what and on what, for the audit log.

    Raises:
        UsageError: *wanted* names an unknown destination or source.
        ConfigError: a setting is wrong.
        StoreUnavailable: the database does not answer, or has another release's schema.
    """
    settings = load_settings_and_warn()

    async def asking(store: "Store") -> T:
        if wanted is not None:
            await check_names(settings, store, wanted)
        if deed is not None:
            await note(store, *deed)
        return await work(store)

    return use_store(settings, asking)


def configured() -> "Configured":
    """Return what the settings say that work depends on.

    Raises:
        ConfigError: a setting is wrong.
    """
    from receiver.wiring.operators import build_configured

    return build_configured(load_settings_and_warn())


async def check_names(settings: "Settings", store: "Store", wanted: "Filter") -> None:
    """Refuse a filter for an unknown destination or source.

    Raises:
        UsageError: the message lists the known ones.
    """
    if wanted.destination is None and wanted.source is None:
        return
    from receiver.cli.destinations import check_name
    from receiver.operations.names import named_in
    from receiver.wiring.sources import source_names

    sources = source_names(settings)
    for one in await store.transact(named_in, wanted, destinations=store.destinations, sources=sources):
        check_name(one.name, one.known, one.what)


def use_store(settings: "Settings", work: "Callable[[Store], Awaitable[T]]", *, records: bool = False) -> T:
    """Return the result of *work* on the store in *settings*.

    Set *records* if it records events to forward: then it needs the routing.

    Raises:
        ConfigError: a setting is wrong.
        StoreUnavailable: the database does not answer, or has another release's schema.
    """
    import asyncio

    from receiver.wiring.operators import open_store

    missing = _missing_file(settings)
    if records:
        from receiver.wiring.stores import build_store

        store = build_store(settings)
    else:
        store = open_store(settings)

    if missing:
        say(f"{missing} is new: there was no such file. If yours is elsewhere, set {_variable()}.")

    async def using() -> T:
        await store.check()
        return await work(store)

    try:
        return asyncio.run(using())
    except StoreUnavailable as error:
        error.add_note(f"{_variable()} says which database that is.")
        raise
    finally:
        store.close()


def _variable() -> str:
    from receiver.settings import variable_that_sets

    return variable_that_sets("database_url")


def _missing_file(settings: "Settings") -> "Path | None":
    """Return the SQLite file that is about to be created: a wrong folder would look fine but empty."""
    from receiver.store.database_url import sqlite_file

    database = sqlite_file(settings.database_url.get_secret_value())
    return database if database and not database.exists() else None


async def events_of(store: "Store", name: str) -> list[str]:
    """Return the ids of the event *name*, or of the events about the generation *name*.

    Raises:
        NotFound: there are none.
    """
    from receiver.client import NotFound
    from receiver.operations.records import events_named

    if found := await events_named(store, name):
        return found
    raise NotFound(f"there is no event or generation {name} in RECEIVER_DATABASE_URL")
