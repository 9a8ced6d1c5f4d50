"""The store, as the commands for operators use it: opened, asked, closed."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from receiver.cli.connection import load_settings_and_warn
from receiver.cli.operator import note
from receiver.cli.output import say
from receiver.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from receiver.settings import Settings
    from receiver.store import Store
    from receiver.store.filters import Filter
    from receiver.store.window import Key, Page

T = TypeVar("T")
Function = Callable[..., Any]

_PAGE: Final = 200
_VALUES: Final = 8
_NARROWING: Final = ("error", "source", "kind", "type", "state")
"""The filters that have few values."""

limit_option = click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Maximum number of rows."
)
order_option = click.option(
    "--oldest-first", is_flag=True, help="List the oldest first instead of the latest."
)


class Cursor(click.ParamType["Key"]):
    """The key of a list's last row, of that many *parts*, as `write_cursor` wrote it."""

    name = "cursor"

    def __init__(self, parts: int) -> None:
        self._parts = parts

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Key":
        """Return the key."""
        from receiver.operations.cursors import read_cursor

        try:
            return read_cursor(str(value), parts=self._parts)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def cursor_option(parts: int) -> Callable[[Function], Function]:
    """Let a list go on behind a key of this many *parts*."""
    return click.option(
        "--cursor",
        "after",
        type=Cursor(parts),
        metavar="CURSOR",
        help="Continue where an earlier list ended.",
    )


def ask(
    work: "Callable[[Store], Awaitable[T]]",
    *,
    wanted: "Filter | None" = None,
    deed: tuple[str, str] | None = None,
) -> T:
    """Return what *work* finds out from the store of `RECEIVER_DATABASE_URL`.

    If it changes something, the *deed* says what and on what, for the audit log.

    Raises:
        UsageError: there is no such destination or source as *wanted* names.
        ConfigError: a setting is wrong.
        StoreUnavailable: the database does not answer, or has not the schema of this release.
    """
    settings = load_settings_and_warn()

    async def asking(store: "Store") -> T:
        if wanted is not None:
            await check_names(settings, store, wanted)
        if deed is not None:
            await note(store, *deed)
        return await work(store)

    return use_store(settings, asking)


async def check_names(settings: "Settings", store: "Store", wanted: "Filter") -> None:
    """Refuse a filter for a destination or a source that there is not.

    Raises:
        UsageError: it says which there are.
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
    """Return what *work* makes of the store that *settings* name.

    Say if it *records* what is to be forwarded: then it has to know which destination wants what.

    Raises:
        ConfigError: a setting is wrong.
        StoreUnavailable: the database does not answer, or has not the schema of this release.
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
        say(f"{missing} is new: there was no such file. If yours is elsewhere, set RECEIVER_DATABASE_URL.")

    async def using() -> T:
        await store.check()
        return await work(store)

    try:
        return asyncio.run(using())
    except StoreUnavailable as error:
        error.add_note("RECEIVER_DATABASE_URL says which database that is.")
        raise
    finally:
        store.close()


def _missing_file(settings: "Settings") -> "Path | None":
    """Return the SQLite file that is about to be created: in another folder, all is well and empty."""
    from receiver.store.database_url import sqlite_file

    database = sqlite_file(settings.database_url.get_secret_value())
    return database if database and not database.exists() else None


async def events_of(store: "Store", name: str) -> list[str]:
    """Return the ids of the events that *name* is the id of, or that are about the generation *name*.

    Raises:
        NotFound: there are none.
    """
    from receiver.client import NotFound
    from receiver.operations.records import events_named

    if found := await events_named(store, name):
        return found
    raise NotFound(f"there is no event or generation {name} in RECEIVER_DATABASE_URL")


def fetch(
    find: "Callable[..., Page[T]]",
    wanted: "Filter",
    *,
    limit: int,
    after: "Key | None",
    oldest_first: bool,
) -> list[T]:
    """Return up to *limit* rows of a list; say how to get more if there are more."""
    from receiver.operations.cursors import write_cursor

    async def look(store: "Store") -> list[T]:
        rows: list[T] = []
        last = after
        while True:
            page = await store.transact(
                find, wanted, after=last, limit=min(limit - len(rows), _PAGE), newest_first=not oldest_first
            )
            rows += page.rows
            last = page.cursor
            if not page.more or len(rows) >= limit:
                break
        if not rows and after is None:
            await _say_what_there_is(store, find, wanted)
        if page.more and last is not None:
            say(f"There may be more: continue with --cursor {write_cursor(last)}")
        return rows

    return ask(look, wanted=wanted)


async def _say_what_there_is(store: "Store", find: "Callable[..., Page[Any]]", wanted: "Filter") -> None:
    """Say for each filter that may be the reason that nothing matches which values would."""
    from receiver.telemetry.redact import redact

    for name in _NARROWING:
        if getattr(wanted, name) is None:
            continue
        others: dict[str, Any] = {name: None}
        page = await store.transact(find, replace(wanted, **others), limit=_PAGE, newest_first=True)
        # A quarantined body calls it the reason.
        values = (getattr(row, name, None) or getattr(row, "reason", None) for row in page.rows)
        found = Counter(redact(value) for value in values if value)
        if found:
            listed = ", ".join(f"{value} ({count})" for value, count in found.most_common(_VALUES))
            say(f"Nothing matches. Without --{name} there are: {listed}")
        else:
            say(f"Nothing matches, and without --{name} there is nothing that it could match.")
