"""`receiver find`: the outcome of whatever a person has a name for."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from receiver.cli.connection import load_settings_and_warn
from receiver.cli.console import use_store
from receiver.cli.output import Record, json_option, say, show_rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from receiver.store.story import Story

_COLUMNS: Final = ("at", "what", "detail", "event_id")


@click.command()
@click.argument("name", metavar="X")
@json_option
def find(*, name: str, as_json: bool) -> None:
    """Show the history of X: an event id, a generation id, a client reference, or a URL.

    Lists what happened and what happens next, earliest first. URLs, and words of a prompt, are searched in
    the latest 2,000 events.
    """
    from receiver.client import NotFound

    stories = use_store(load_settings_and_warn(), lambda store: store.transact(_stories, name))
    if not stories:
        raise NotFound(f"nothing found for {name} in RECEIVER_DATABASE_URL")
    for told in stories:
        if not as_json:
            say(f"{told.generation_id} of {told.source}")
        show_rows(_entries(told), columns=_COLUMNS, as_json=as_json)


def _stories(connection: "Connection", name: str) -> "list[Story]":
    from receiver.store.contents import find_words
    from receiver.store.story import identify, story

    known = identify(connection, name)
    if not known:
        read = find_words(connection, name.partition("?")[0], after=None, limit=5).rows
        known = list(dict.fromkeys((one.event.source, one.event.generation_id) for one in read))
    found = (story(connection, source, generation_id) for source, generation_id in known)
    return [told for told in found if told is not None]


def _entries(told: "Story") -> list[Record]:
    from receiver.operations.timeline import timeline

    return [
        {
            "source": told.source,
            "generation_id": told.generation_id,
            "at": None if one.at_ms is None else datetime.fromtimestamp(one.at_ms / 1000, UTC),
            "what": one.what,
            "detail": one.detail,
            "event_id": one.event_id,
        }
        for one in timeline(told)
    ]
