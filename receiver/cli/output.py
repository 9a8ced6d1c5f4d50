"""Output of the commands: results on standard output, messages for people on standard error."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TextColumn

Record = Mapping[str, Any]
"""One result: what `--json` prints as one object."""

Columns = str
"""Fields of a record, some with a heading, as in SQL: `event_id as event, state`."""

_WIDEST_CELL: Final = 60
_NARROWEST: Final = 16
_LONGEST_WHOLE: Final = 40
"""Longer than our own ids. A longer name is of somebody's choice, and may be broken into lines, too."""
_GIVING_WAY: Final = frozenset(
    {"prompt", "error", "last error", "url", "events", "scopes", "only from", "detail", "value"}
)
"""Columns that may wrap on a narrow terminal. Ids may not, because people copy them."""
_CUT: Final = _GIVING_WAY - {"detail", "value", "url"}
"""Columns that are cut if long."""
_DISPENSABLE: Final = ("via", "repeats", "attempts", "kind", "source", "deliveries", "type", "received")
"""Columns that are left out on a narrow terminal, in this order."""

_SAY_SO: Final = frozenset({"TTY_COMPATIBLE", "FORCE_COLOR"})
"""Variables that may declare a non-terminal to be one."""

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line, for programs."
)


def show_rows(records: Iterable[Record], *, columns: Columns, as_json: bool) -> None:
    """Print *records*: complete as JSON lines, each at once, or only these *columns*.

    On a terminal the columns are a table; elsewhere they are separated by tabs, under their headings.
    """
    if as_json:
        for record in records:
            show_json(record)
        return
    headed = {field: heading or _words(field) for field, heading in _headings(columns)}
    rows = [[cell(record.get(field), heading) for field, heading in headed.items()] for record in records]
    _show_table(list(headed.values()), rows)


def show_record(record: Record, *, as_json: bool) -> None:
    """Print one record: complete as a JSON line, or one line per field with a value."""
    if as_json:
        show_json(record)
        return
    _show_fields({_words(name): _text(value) for name, value in record.items() if _text(value)})


def show_json(record: Record) -> None:
    """Print one record as a JSON line."""
    click.echo(json.dumps(record, default=_plain))


def say(message: str) -> None:
    """Print a message for the user that is not a result."""
    click.echo(printable(message), err=True)


@contextmanager
def progress(message: str) -> Iterator[None]:
    """Show *message* with a spinner and the elapsed time, on a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    from rich.progress import SpinnerColumn

    with progress_of(SpinnerColumn(), description()) as shown:
        shown.add_task(printable(message), total=None)
        yield


def progress_of(*columns: "ProgressColumn") -> "Progress":
    """Return a display of these *columns* and the elapsed time, for a terminal."""
    from rich.console import Console
    from rich.progress import Progress, TimeElapsedColumn

    console = Console(stderr=True)
    return Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    )


def description() -> "TextColumn":
    """Return the column for a task's text, which may be foreign."""
    from rich.progress import TextColumn

    return TextColumn("{task.description}", markup=False)


def cell(value: object, heading: str) -> str:
    """Return *value* for a table: on one line, and cut if it is long prose."""
    text = _text(value)
    return text if len(text) <= _WIDEST_CELL or heading not in _CUT else f"{text[: _WIDEST_CELL - 1]}…"


def printable(text: str) -> str:
    """Return *text* without terminal control characters; line breaks stay."""
    # Prompts and error messages come from outside.
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(text: str) -> str:
    """Return *text* so that it cannot pass for another line of ours: part of it is other people's words."""
    return printable(" ".join(text.split()))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return local_time(value)
    if isinstance(value, dict):
        return printable(json.dumps(value, ensure_ascii=False, default=_plain))
    if isinstance(value, list | tuple):
        return ", ".join(_text(one) for one in value)
    return one_line(str(value))


def local_time(moment: datetime) -> str:
    """Return a time in this machine's zone."""
    try:
        return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        # In UTC otherwise: near the first and last possible day, the local zone may have no such time.
        return moment.isoformat()


def _headings(columns: Columns) -> Iterator[tuple[str, str]]:
    for column in columns.split(", "):
        field, _, heading = column.partition(" as ")
        yield field, heading


def _words(name: str) -> str:
    return name.replace("_", " ")


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _show_fields(fields: Mapping[str, str]) -> None:
    terminal = _terminal()
    if terminal is None:
        for name, value in fields.items():
            click.echo(f"{name}\t{value}")
        return
    from rich.text import Text

    widest = max(map(len, fields), default=0)
    for name, value in fields.items():
        # Do not wrap here: if the terminal does, a URL can be copied as a whole.
        terminal.print(Text.assemble((name.ljust(widest), "bold"), f"  {value}"), soft_wrap=True)


def _show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    terminal = _terminal()
    if terminal is None:
        for row in [headings, *rows]:
            click.echo("\t".join(row))
    else:
        shown = _fitting(headings, rows, terminal.width)
        left_out = [one for at, one in enumerate(headings) if at not in shown]
        terminal.print(_table([headings[at] for at in shown], [[row[at] for at in shown] for row in rows]))
        if left_out:
            say(f"Not enough room for: {', '.join(left_out)}. --json prints all.")


def _fitting(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return which columns fit into *width* without breaking an id."""
    widths = [
        min(width, _NARROWEST) if gives_way else width for width, gives_way in _measured(headings, rows)
    ]
    shown = list(range(len(headings)))
    for heading in _DISPENSABLE:
        if sum(widths[at] + 2 for at in shown) <= width:
            break
        shown = [at for at in shown if headings[at] != heading]
    return shown


def _measured(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[tuple[int, bool]]:
    """Return how wide each column is, and whether it may be broken into lines."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
    return [
        (width, heading in _GIVING_WAY or width > _LONGEST_WHOLE)
        for heading, width in zip(headings, widths, strict=True)
    ]


def _terminal() -> Any:
    """Return the terminal for results, or None. The import for writing to it is slow."""
    if not sys.stdout.isatty() and not _SAY_SO.intersection(os.environ):
        return None
    from rich.console import Console

    console = Console(file=sys.stdout)
    return console if console.is_terminal else None


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading, (_, gives_way) in zip(headings, _measured(headings, rows), strict=True):
        table.add_column(heading, no_wrap=not gives_way, overflow="fold" if gives_way else "ellipsis")
    for row in rows:
        table.add_row(*(Text(each) for each in row))
    return table


def show_attempts(attempts: Iterable[Mapping[str, Any]]) -> None:
    """Print a line for each of *attempts*, which are records."""
    for one in attempts:
        at = local_time(one["at"])
        said = f"; the answer: {one['said']}" if one["said"] else ""
        line = f"{one['number']} at {at} after {one['took_s']:.1f} s: {one['error']}{said}"
        show_record({"failed attempt": line}, as_json=False)
