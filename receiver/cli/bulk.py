"""The common part of commands that change many rows: dry run, confirmation, progress, and cancellation."""

import functools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

import click

from receiver.cli.console import ask, note
from receiver.cli.filtering import Function, filtered, with_options
from receiver.cli.output import description, json_option, progress_of, say, show_record

if TYPE_CHECKING:
    from receiver.operations import OnPage
    from receiver.store import Store
    from receiver.store.filters import Filter
    from receiver.store.operations import Kind, Operation, Order


class Rate(click.FloatRange):
    """A number within a range; NaN, which passes click's own check, is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return it."""
        rate: float = super().convert(value, param, ctx)
        if math.isnan(rate):
            self.fail(f"{value!r} is not a number", param, ctx)
        return rate


rate_option = click.option(
    "--rate",
    type=Rate(min=0, max=100_000),
    default=50.0,
    show_default=True,
    help="Deliveries per second, to leave room for live events; 0 sends all at once.",
)

_DOES: Final = {
    "deliveries.retry": "send {0} deliveries again",
    "deliveries.drop": "drop {0} dead letters",
    "events.replay": "send {0} deliveries again",
    "quarantine.retry": "record the events of {0} quarantined bodies",
    "quarantine.drop": "drop {0} quarantined bodies",
}


@dataclass(frozen=True, slots=True)
class BulkManner:
    """How a command should proceed."""

    mean_all: bool
    dry_run: bool
    yes: bool
    as_json: bool


def bulk(
    *filters: str, states: Sequence[str] = (), default: str | None = None
) -> Callable[[Function], Function]:
    """Give a command ids, these *filters*, and the options of all commands that change many rows.

    It gets `wanted`, and a `manner`.
    """
    options = (
        click.option("--all", "mean_all", is_flag=True, help="Apply to everything, without a filter."),
        click.option("--dry-run", is_flag=True, help="Only count what would change."),
        click.option("--yes", is_flag=True, help="Skip the confirmation."),
        json_option,
    )

    def decorate(command: Function) -> Function:
        @functools.wraps(command)
        def run(*, ids: tuple[str, ...], wanted: "Filter", **given: Any) -> Any:
            manner = BulkManner(**{one.name: given.pop(one.name) for one in fields(BulkManner)})
            return command(wanted=replace(wanted, ids=ids), manner=manner, **given)

        with_filters = filtered(*filters, states=states, default=default)(with_options(options)(run))
        return click.argument("ids", nargs=-1, metavar="[ID]...")(with_filters)

    return decorate


def carry_out(kind: "Kind", wanted: "Filter", manner: BulkManner, **more: Any) -> None:
    """Count what is *wanted*, or do it and print the result; *more* holds fields of `Order`.

    Raises:
        UsageError: there is neither a filter nor --all; or no such destination or source exists.
        NotFound: none of the given ids exists in a matching state.
        ConfigError: a setting is wrong.
        StoreUnavailable: the database does not answer, or has another release's schema.
    """
    from receiver.store.operations import Order

    if wanted.is_open and not manner.mean_all:
        raise click.UsageError("Give an id, a filter, or --all.")
    order = Order(kind, wanted, **more)
    if manner.dry_run:
        counted = _count(order)
        show_record(counted, as_json=manner.as_json)
        _require_some(order, counted["matched"])
        return
    if not (manner.yes or wanted.ids) and _is_watched() and not _is_confirmed(order):
        say("Nothing was done.")
        return
    operation = ask(lambda store: _begin(store, order), wanted=wanted)
    finish(operation.id, as_json=manner.as_json)


async def _resolved(store: "Store", order: "Order") -> "Order":
    """Return *order* with generation ids replaced by event ids."""
    from receiver.operations.records import events_named

    names = order.wanted.ids
    if not names or order.kind.startswith("quarantine"):
        return order
    ids = [id_ for name in names for id_ in await events_named(store, name) or [name]]
    return replace(order, wanted=replace(order.wanted, ids=tuple(dict.fromkeys(ids))))


def finish(id_: str, *, as_json: bool, deed: tuple[str, str] | None = None) -> None:
    """Do the rest of an operation, and print the result; *deed* is that of `ask`.

    Raises:
        NotFound: there is no such operation, or none of its ids exists.
        ConfigError: a setting is wrong.
        StoreUnavailable: the database does not answer, or has another release's schema.
    """
    from receiver import operations
    from receiver.client import NotFound
    from receiver.operations.records import operation_record

    try:
        with counting("done") as on_page:
            ended = ask(lambda store: operations.finish(store, id_, on_page), deed=deed)
    except (KeyboardInterrupt, click.Abort):
        say(
            f"Operation {id_} is not finished. `receiver operations resume {id_}` continues it,"
            f" `receiver operations cancel {id_}` undoes it."
        )
        raise
    if ended is None:
        raise NotFound(f"there is no operation {id_} in RECEIVER_DATABASE_URL")
    show_record(operation_record(ended), as_json=as_json)
    if ended.order.kind != "quarantine.retry" and ended.changed and ended.state == "done":
        say(f"To undo it: receiver operations cancel {id_}")
    _require_some(ended.order, ended.matched)


def _require_some(order: "Order", matched: int) -> None:
    """Report a mistyped id, so that nobody believes it was processed."""
    from receiver.client import NotFound

    if order.wanted.ids and not matched:
        raise NotFound(f"nothing to do for {', '.join(order.wanted.ids)}: unknown, or in the wrong state")


@contextmanager
def counting(what: str) -> "Iterator[OnPage]":
    """Offer a progress display on a terminal."""
    from rich.progress import SpinnerColumn

    with progress_of(SpinnerColumn(), description()) as shown:
        task = shown.add_task("", total=None)
        yield lambda matched, changed: shown.update(task, description=f"{matched} matched, {changed} {what}")


async def _begin(store: "Store", order: "Order") -> "Operation":
    from receiver import operations
    from receiver.operations.audit import aim

    order = await _resolved(store, order)
    await note(store, order.kind, aim(order))
    return await operations.begin(store, order)


def _count(order: "Order") -> dict[str, Any]:
    from receiver import operations

    with counting("to do") as on_page:

        async def count(store: "Store") -> "operations.Counted":
            return await operations.count(store, await _resolved(store, order), on_page)

        counted = ask(count, wanted=order.wanted)
    return {"kind": order.kind, "matched": counted.matched, "changed": counted.changed, "dry_run": True}


def _is_confirmed(order: "Order") -> bool:
    changed = _count(order)["changed"]
    return click.confirm(f"This will {_DOES[order.kind].format(changed)}. Continue?", err=True)


def _is_watched() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
