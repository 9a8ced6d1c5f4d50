"""The store, as the commands for operators use it: opened, asked, closed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from receiver.cli.connection import load_settings_and_log
from receiver.cli.output import say

if TYPE_CHECKING:
    from receiver.store import Console
    from receiver.store.filters import Filter
    from receiver.store.window import Key, Page

T = TypeVar("T")

_SEPARATOR: Final = "/"
_PAGE: Final = 200

limit_option = click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="So many at most."
)
order_option = click.option(
    "--oldest-first", is_flag=True, help="Begin with what arrived first, not with the latest."
)
cursor_option = click.option("--cursor", metavar="CURSOR", help="Go on where an earlier list ended.")


def ask(work: "Callable[[Console], Awaitable[T]]") -> T:
    """Return what *work* finds out from the store of `RECEIVER_DATABASE_URL`.

    Raises:
        ConfigError: a setting is wrong.
        StoreUnavailable: the database does not answer, or has not the schema of this release.
    """
    from receiver.wiring.stores import build_store

    settings = load_settings_and_log(level="WARNING")
    store = build_store(settings)

    async def asking() -> T:
        await store.check()
        return await work(store.console)

    try:
        return asyncio.run(asking())
    finally:
        store.close()


def fetch(
    listing: "Callable[[Console], Callable[..., Awaitable[Page[T]]]]",
    wanted: "Filter",
    *,
    limit: int,
    cursor: str | None,
    oldest_first: bool,
) -> list[T]:
    """Return up to *limit* rows of a list; say how to get more if there are more."""

    async def look(console: "Console") -> list[T]:
        after: Key | None = read_cursor(cursor)
        rows: list[T] = []
        while True:
            page = await listing(console)(
                wanted, after=after, limit=min(limit - len(rows), _PAGE), newest_first=not oldest_first
            )
            rows += page.rows
            after = page.cursor
            if not page.more or len(rows) >= limit:
                break
        if page.more and after is not None:
            say(f"There may be more: go on with --cursor {write_cursor(after)}")
        return rows

    return ask(look)


def read_cursor(cursor: str | None) -> "Key | None":
    """Return the key that *cursor* stands for."""
    return None if cursor is None else tuple(cursor.split(_SEPARATOR))


def write_cursor(key: Sequence[Any]) -> str:
    """Return the cursor of a key."""
    return _SEPARATOR.join(map(str, key))
