"""`receiver find`: the outcome of whatever a person has a name for."""

from typing import Final

import click

from receiver.cli.console import ask
from receiver.cli.output import json_option, say, show_rows

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
    from receiver.operations.finding import history, stories

    if not name.strip():
        raise click.UsageError("X is empty.")
    found = ask(lambda store: store.transact(stories, name))
    if not found:
        raise NotFound(f"nothing found for {name} in RECEIVER_DATABASE_URL")
    for story in found:
        if not as_json:
            say(f"{story.generation_id} of {story.source}")
        show_rows(history(story), columns=_COLUMNS, as_json=as_json)
