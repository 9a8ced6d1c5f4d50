"""The filters that lists and bulk commands share, as options of each command that takes them."""

import functools
from collections.abc import Callable, Sequence
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
        "--type", "type_", metavar="TYPE", help="Only events of this type, such as generation.failed."
    ),
    "generation": click.option("--generation", metavar="ID", help="Only events about this generation."),
}
_EVERYTHING: Final = ("error", "since", "until", "source", "kind", "type", "generation")

DELIVERY_FILTERS: Final = ("destination", *_EVERYTHING)
EVENT_FILTERS: Final = _EVERYTHING
QUARANTINE_FILTERS: Final = ("error", "since", "until", "source")


def filtered(
    *names: str, states: Sequence[str] = (), default: str | None = None
) -> Callable[[Function], Function]:
    """Give a command the filters *names*, and `--state` if it knows *states*; it gets one `wanted`."""

    def decorate(command: Function) -> Function:
        @functools.wraps(command)
        def run(**options: Any) -> Any:
            given = {name: options.pop("type_" if name == "type" else name) for name in names}
            state = options.pop("state") if states else None
            return command(wanted=_filter(given, state), **options)

        wrapped: Function = run
        for name in reversed(names):
            wrapped = _OPTIONS[name](wrapped)
        if not states:
            return wrapped
        state = click.option(
            "--state",
            type=click.Choice(states),
            default=default,
            show_default=default is not None,
            help="Only rows in this state.",
        )
        return state(wrapped)

    return decorate


def _filter(given: dict[str, Any], state: str | None) -> Any:
    from receiver.store.filters import Filter

    check_order(given.get("since"), given.get("until"))
    return Filter(
        destination=given.get("destination"),
        state=state,
        error=given.get("error"),
        source=given.get("source"),
        kind=given.get("kind"),
        type=given.get("type"),
        generation_id=given.get("generation"),
        since_ms=to_ms(given.get("since")),
        until_ms=to_ms(given.get("until")),
    )
