"""Finds what became of anything that a person has a name for."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from receiver.operations import schemas
from receiver.operations.next_try import Circumstances
from receiver.operations.records import record
from receiver.operations.timeline import timeline
from receiver.store.contents import find_words
from receiver.store.story import Story, identify, story

_MOST: Final = 5


def stories(connection: Connection, name: str) -> Sequence[Story]:
    """Return the generations that *name* identifies: as an id, a reference, a URL or part of the prompt."""
    known = identify(connection, name)
    if not known:
        read = find_words(connection, name.partition("?")[0], after=None, limit=_MOST).rows
        known = list(dict.fromkeys((one.event.source, one.event.generation_id) for one in read))
    found = (story(connection, source, generation_id) for source, generation_id in known)
    return [one for one in found if one is not None]


def history(found: Story, seen: Circumstances) -> list[schemas.HistoryEntry]:
    """Return what happened to a generation and what comes next, earliest first."""
    about = {"source": found.source, "generation_id": found.generation_id}
    return [record(schemas.HistoryEntry, one, **about) for one in timeline(found, seen)]
