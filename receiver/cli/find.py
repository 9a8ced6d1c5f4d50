"""`receiver find`: the history of an event or generation, by any of its names."""

from typing import TYPE_CHECKING, Final

import click

from receiver import clock
from receiver.cli.console import ask, configured
from receiver.cli.output import json_option, one_line, say, show_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from receiver.operations.next_try import Circumstances
    from receiver.store import Store
    from receiver.store.story import Story

_COLUMNS: Final = "at, what, detail, event_id"


@click.command()
@click.argument("name", metavar="X")
@json_option
def find(*, name: str, as_json: bool) -> None:
    """Show the history of an event or generation.

    X is an event id, a generation id, a client reference, or a URL. Lists what happened and what happens
    next, earliest first. URLs, and words of a prompt, are searched in the latest 2,000 events.
    """
    from receiver.client import NotFound
    from receiver.operations.next_try import circumstances
    from receiver.operations.timeline import history, stories

    if not name.strip():
        raise click.UsageError("X is empty.")
    known = configured()

    async def look(store: "Store") -> "tuple[Sequence[Story], Circumstances]":
        seen = await store.transact(circumstances, known, now_ms=clock.now_ms())
        return await store.transact(stories, name), seen

    found, seen = ask(look)
    if not found:
        raise NotFound(f"nothing found for {name} in RECEIVER_DATABASE_URL")
    for story in found:
        if not as_json:
            say(one_line(f"{story.generation_id} of {story.source}"))
        show_rows(history(story, seen), columns=_COLUMNS, as_json=as_json)
