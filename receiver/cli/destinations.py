"""`receiver destinations`: the state of each; pause and resume."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import click

from receiver import clock
from receiver.cli.connection import load_settings_and_warn
from receiver.cli.console import note, use_store
from receiver.cli.moments import age
from receiver.cli.output import Record, json_option, one_line, say, show_rows

if TYPE_CHECKING:
    from receiver.settings import Settings
    from receiver.store import Store
    from receiver.store.destinations import DestinationStatus

_COLUMNS: Final = "name, kind, state, pending, oldest, delivered, dead, last_error"


@click.group()
def destinations() -> None:
    """Watch, pause, resume and backfill destinations."""


@destinations.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the destinations and their backlogs.

    Includes destinations that are no longer configured but have deliveries.

    States: running; paused (see `receiver destinations resume`); breaker open: a worker found it down and
    keeps probing it; not configured: deliveries wait until it is.
    """
    from receiver.store.destinations import destination_statuses, known_destinations

    async def look(store: "Store") -> "list[DestinationStatus]":
        names = await store.transact(known_destinations, store.destinations)
        return await store.transact(destination_statuses, names)

    settings = load_settings_and_warn()
    _show(settings, use_store(settings, look), as_json=as_json)


@destinations.command()
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Reason, shown by `list`.")
@json_option
def pause(*, name: str, reason: str | None, as_json: bool) -> None:
    """Stop sending to the destination NAME until it is resumed.

    Events are still received, and wait. This applies to all workers on the database, at once and across
    restarts. Batches already being sent are finished.
    """
    from receiver.store import destinations as stored

    deed = ("destinations.pause", f"{name} {reason or ''}".strip())
    now_ms = clock.now_ms()
    changed = _change(
        name,
        deed,
        lambda store: store.transact_promptly(stored.pause, name, reason=reason, now_ms=now_ms),
        as_json=as_json,
    )
    if not changed:
        say(f"{name} was paused already.")


@destinations.command()
@click.argument("name")
@json_option
def resume(*, name: str, as_json: bool) -> None:
    """Send to the destination NAME again, starting with its backlog."""
    if not _change(name, ("destinations.resume", name), lambda store: store.resume(name), as_json=as_json):
        say(f"{name} was not paused.")


def _change(
    name: str, deed: tuple[str, str], act: "Callable[[Store], Awaitable[bool]]", *, as_json: bool
) -> bool:
    """Apply a change to a destination, and show its state; return whether anything changed."""
    from receiver.store.destinations import destination_statuses, known_destinations

    async def change(store: "Store") -> "tuple[bool, list[DestinationStatus]]":
        check_name(name, await store.transact(known_destinations, store.destinations))
        await note(store, *deed)
        return await act(store), await store.transact(destination_statuses, [name])

    settings = load_settings_and_warn()
    changed, statuses = use_store(settings, change)
    _show(settings, statuses, as_json=as_json)
    return changed


def check_name(name: str, known: Collection[str], what: str = "destination") -> None:
    """Refuse a *name* that is not *known*, and suggest a similar one.

    Raises:
        UsageError: *name* is unknown.
    """
    if name in known:
        return
    import difflib

    close = difflib.get_close_matches(name.lower(), known, n=1)
    if close:
        raise click.UsageError(f"There is no {what} {name!r}. Did you mean {close[0]!r}?")
    there_are = ", ".join(sorted(known)) or "none. RECEIVER_DESTINATIONS__<NAME>__URL adds one"
    raise click.UsageError(f"There is no {what} {name!r}; there are: {there_are}.")


def _show(settings: "Settings", statuses: "Sequence[DestinationStatus]", *, as_json: bool) -> None:
    from receiver.operations.status import destination_record

    now_ms = clock.now_ms()
    kinds = {name: _kind(options.get("url", "")) for name, options in settings.destinations.items()}
    records = [destination_record(status, kinds, now_ms) for status in statuses]
    shown: Iterable[Record] = records
    if not as_json:
        shown = ({**one, "oldest": age(one["oldest_pending_s"])} for one in records)
    show_rows(shown, columns=_COLUMNS, as_json=as_json)
    for one in records:
        if one["reason"] and not as_json:
            say(one_line(f"{one['name']} is paused: {one['reason']}"))


def _kind(url: str) -> str | None:
    """Return the scheme of *url*, and no more of it: it may hold a password."""
    from receiver.destinations import SCHEMES

    scheme = url.strip().partition(":")[0].lower()
    return scheme if scheme in SCHEMES else None
