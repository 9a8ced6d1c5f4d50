"""The filters that lists and bulk commands share, as options of each command that takes them."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import click

from receiver.cli.moments import Since, check_order, to_ms
from receiver.events import EVENT_KINDS

Function = Callable[..., Any]

_OPTIONS: Final[dict[str, Function]] = {
    "destination": click.option(
        "--destination", metavar="NAME", help="Only deliveries to this destination, or events with one."
    ),
    "error": click.option(
        "--error", metavar="TEXT", help="Only rows whose error contains TEXT, ignoring case."
    ),
    "since": click.option(
        "--since", type=Since(), help="Only events that arrived since: 2025-01-09T12:00Z, yesterday, 2h, 3d."
    ),
    "until": click.option("--until", type=Since(), help="Only events that arrived before: a time or an age."),
    "source": click.option("--source", metavar="NAME", help="Only this source."),
    "kind": click.option("--kind", type=click.Choice(EVENT_KINDS), help="Only this kind of generation."),
    "type": click.option(
        "--type", metavar="TYPE", help="Only events of this type, such as generation.failed."
    ),
    "generation_id": click.option(
        "--generation", "generation_id", metavar="ID", help="Only events about this generation."
    ),
}
_EVERYTHING: Final = ("error", "since", "until", "source", "kind", "type", "generation_id")

DELIVERY_FILTERS: Final = ("destination", *_EVERYTHING)
EVENT_FILTERS: Final = _EVERYTHING
QUARANTINE_FILTERS: Final = ("error", "since", "until", "source")


def with_options(options: Iterable[Function]) -> Callable[[Function], Function]:
    """Give a command *options*, in the order of its help."""
    last_first = [*options][::-1]
    return lambda command: functools.reduce(lambda wrapped, option: option(wrapped), last_first, command)


def filtered(
    *names: str, states: Sequence[str] = (), default: str | None = None
) -> Callable[[Function], Function]:
    """Give a command the filters *names*, and `--state` if there are *states*; it gets `wanted`."""
    state = click.option(
        "--state",
        type=click.Choice(states),
        default=default,
        show_default=default is not None,
        help="Only rows in this state.",
    )
    options = [*([state] if states else []), *(_OPTIONS[name] for name in names)]

    def decorate(command: Function) -> Function:
        @functools.wraps(command)
        def run(**given: Any) -> Any:
            asked = {name: given.pop(name) for name in ("state", *names) if name in given}
            return command(wanted=_filter(**asked), **given)

        return with_options(options)(run)

    return decorate


def _filter(*, since: Any = None, until: Any = None, **given: Any) -> Any:
    from receiver.store.filters import Filter

    check_order(since, until)
    return Filter(**given, since_ms=to_ms(since), until_ms=to_ms(until))
