"""The audit log: an operator's action is recorded before it is done."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from receiver.store.tables import AUDIT
from receiver.store.window import Key, Page


@dataclass(frozen=True, slots=True)
class Deed:
    """One action by an operator."""

    id: str
    """Starts with its time, like an event's id."""
    at_ms: int
    who: str
    """`name (address)` for a user of the console, `user@machine` for a command."""
    what: str
    """A fixed word, such as `deliveries.retry`."""
    on: str
    """The target, and how it was acted on."""


def write_down(connection: Connection, deed: Deed) -> None:
    """Append *deed*."""
    row = {"id": deed.id, "at_ms": deed.at_ms, "who": deed.who, "what": deed.what, "on_what": deed.on}
    connection.execute(AUDIT.insert(), [row])


def deeds(connection: Connection, *, after: Key | None = None, limit: int) -> Page[Deed]:
    """Return up to *limit* actions after the cursor *after*, latest first."""
    statement = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit + 1)
    if after is not None:
        statement = statement.where(AUDIT.c.id < after[0])
    rows = connection.execute(statement).all()
    found = [Deed(row.id, row.at_ms, row.who, row.what, row.on_what) for row in rows[:limit]]
    return Page(found, (found[-1].id,) if found else None, more=len(rows) > limit)
