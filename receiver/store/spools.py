"""Spool folders: which of them has the download of an event, and whether a worker has that folder still."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, case, delete, update

from receiver.store.awaiting import AT_ONCE
from receiver.store.engine import insert_into
from receiver.store.tables import EVENT, PENDING, SPOOL

_FORGET_MS: Final = 30 * 24 * 3600 * 1000
"""Longer than any patience: containers without a volume leave a folder behind at every start."""


def see_spool(connection: Connection, spool: str, *, now_ms: int) -> None:
    """Note that a worker has the folder *spool*."""
    insert = insert_into(SPOOL, connection.dialect).values(id=spool, seen_ms=now_ms)
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"seen_ms": now_ms}))
    connection.execute(delete(SPOOL).where(SPOOL.c.seen_ms < now_ms - _FORGET_MS))


def recall(connection: Connection, event_ids: Sequence[str], *, spool: str, now_ms: int) -> None:
    """Note that *spool* has the downloads of these events, and make those due that wait.

    An event that a worker is at is left to it.
    """
    due_ms = case((EVENT.c.due_ms < now_ms, EVENT.c.due_ms), else_=now_ms)
    for start in range(0, len(event_ids), AT_ONCE):
        these = EVENT.c.id.in_(event_ids[start : start + AT_ONCE])
        waiting = update(EVENT).where(these, EVENT.c.state == PENDING, EVENT.c.lease.is_(None))
        connection.execute(waiting.values(kept_by=spool, due_ms=due_ms))
