"""Parses quarantined bodies again, or drops them, one page at a time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, bindparam, update

from receiver.store.record import Arrival, NewEvent, record
from receiver.store.resend import Chunk, Step
from receiver.store.search import quarantine_rows
from receiver.store.tables import DROPPED, OPEN, QUARANTINE, RESOLVED
from receiver.store.window import Reach

Reread = Callable[[str, bytes], NewEvent | None]
"""Parses a source's body as this release does; None if it still cannot."""

_MOST: Final = 100


def retry(connection: Connection, chunk: Chunk, reread: Reread) -> Step:
    """Record the events of bodies that can be read by now; the others stay."""
    page = _open(connection, chunk)
    read = [(row, event) for row in page.rows if (event := reread(row.source, row.body))]
    if chunk.operation and read:
        written = record(connection, [Arrival(event) for _, event in read])
        resolved = [
            {"body_id": row.id, "became": one.result.id, "by": chunk.operation}
            for (row, _), one in zip(read, written, strict=True)
        ]
        connection.execute(_RESOLVE, resolved)
    return Step(len(page.rows), len(read), page.cursor, page.more)


def drop(connection: Connection, chunk: Chunk) -> Step:
    """Drop bodies, so that lists of open ones no longer show them."""
    page = _open(connection, chunk)
    if chunk.operation and page.rows:
        connection.execute(_DROP, [{"body_id": row.id, "by": chunk.operation} for row in page.rows])
    return Step(len(page.rows), len(page.rows), page.cursor, page.more)


def restore(connection: Connection, chunk: Chunk) -> Step:
    """Reopen what `chunk.operation` dropped. Bodies it resolved are events by now, and stay."""
    wanted = replace(chunk.wanted, state=DROPPED)
    page = quarantine_rows(connection, wanted, Reach(chunk.after, _MOST), lock=True)
    ours = [{"body_id": row.id} for row in page.rows if row.operation == chunk.operation]
    if ours:
        connection.execute(_REOPEN, ours)
    return Step(len(ours), len(ours), page.cursor, page.more)


_OURS: Final = QUARANTINE.c.id == bindparam("body_id")
_RESOLVE: Final = (
    update(QUARANTINE)
    .where(_OURS)
    .values(state=RESOLVED, event_id=bindparam("became"), operation=bindparam("by"))
)
_DROP: Final = update(QUARANTINE).where(_OURS).values(state=DROPPED, operation=bindparam("by"))
_REOPEN: Final = update(QUARANTINE).where(_OURS).values(state=OPEN, operation=None)


def _open(connection: Connection, chunk: Chunk) -> Any:
    wanted = replace(chunk.wanted, state=OPEN)
    return quarantine_rows(connection, wanted, Reach(chunk.after, _MOST), lock=chunk.operation is not None)
