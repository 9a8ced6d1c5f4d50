"""Lists of rows: their common options, and hints if nothing or more matches."""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from receiver.cli.console import ask
from receiver.cli.filtering import Function, filtered, with_options
from receiver.cli.output import Columns, Record, json_option, one_line, say, show_rows

if TYPE_CHECKING:
    from receiver.store import Store
    from receiver.store.filters import Filter
    from receiver.store.window import Key, Page

T = TypeVar("T")

_PAGE: Final = 200
_VALUES: Final = 8
_NARROWING: Final = ("error", "source", "kind", "type", "state")
"""The filters that have few values."""


class Cursor(click.ParamType["Key"]):
    """The key of a list's last row, with this many *parts*, as written by `write_cursor`."""

    name = "cursor"

    def __init__(self, parts: int) -> None:
        self._parts = parts

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Key":
        """Return the key."""
        from receiver.operations.records import read_cursor

        try:
            return read_cursor(str(value), parts=self._parts)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True, slots=True)
class Listing:
    """What to list, and how."""

    wanted: "Filter"
    limit: int
    oldest_first: bool
    after: "Key | None"
    as_json: bool

    def show(
        self, find: "Callable[..., Page[T]]", record: "Callable[[T], Record]", *, columns: Columns
    ) -> None:
        """Print the rows of *find*, each converted by *record*; say how to get more."""
        found = ask(lambda store: self._found(store, find), wanted=self.wanted)
        show_rows(map(record, found), columns=columns, as_json=self.as_json)

    async def _found(self, store: "Store", find: "Callable[..., Page[T]]") -> list[T]:
        from receiver.operations.records import write_cursor

        rows: list[T] = []
        last = self.after
        newest_first = not self.oldest_first
        while True:
            limit = min(self.limit - len(rows), _PAGE)
            page = await store.transact(find, self.wanted, after=last, limit=limit, newest_first=newest_first)
            rows += page.rows
            last = page.cursor
            if not page.more or len(rows) >= self.limit:
                break
        if not rows and self.after is None:
            await _say_what_there_is(store, find, self.wanted)
        if page.more and last is not None:
            say(f"There may be more: continue with --cursor {write_cursor(last)}")
        return rows


def listing(*filters: str, states: Sequence[str], cursor_parts: int) -> Callable[[Function], Function]:
    """Give a command the options of a list with these *filters*; it gets a `listing`."""
    options = (
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            default=100,
            show_default=True,
            help="Maximum number of rows.",
        ),
        click.option("--oldest-first", is_flag=True, help="List the oldest first instead of the latest."),
        click.option(
            "--cursor",
            "after",
            type=Cursor(cursor_parts),
            metavar="CURSOR",
            help="Continue where an earlier list ended.",
        ),
        json_option,
    )

    def decorate(command: Function) -> Function:
        @functools.wraps(command)
        def run(**given: Any) -> Any:
            return command(listing=Listing(**given))

        return filtered(*filters, states=states)(with_options(options)(run))

    return decorate


async def _say_what_there_is(store: "Store", find: "Callable[..., Page[Any]]", wanted: "Filter") -> None:
    """For each filter that may exclude everything, say which values would match."""
    from receiver.telemetry.redact import redact

    for name in _NARROWING:
        if getattr(wanted, name) is None:
            continue
        others: dict[str, Any] = {name: None}
        page = await store.transact(find, replace(wanted, **others), limit=_PAGE, newest_first=True)
        # For a quarantined body, it is called reason.
        values = (getattr(row, name, None) or getattr(row, "reason", None) for row in page.rows)
        found = Counter(redact(value) for value in values if value)
        if found:
            listed = ", ".join(f"{value} ({count})" for value, count in found.most_common(_VALUES))
            say(one_line(f"Nothing matches. Without --{name} there are: {listed}"))
        else:
            say(f"Nothing matches, not even without --{name}.")
