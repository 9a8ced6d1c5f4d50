"""Submissions, for people: those in doubt, and all by name."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, select

from receiver.store.story import Submitted, submitted
from receiver.store.tables import SUBMISSION
from receiver.store.window import Page

IN_DOUBT: Final = ("sending", "unknown")
_LOOKED_AT: Final = 2_000


def open_submissions(connection: Connection, states: Collection[str], *, limit: int) -> list[Submitted]:
    """Return up to *limit* submissions in *states* without a known generation, latest first.

    It checks 2,000, along the index of those without a generation.
    """
    latest = (
        select(SUBMISSION)
        .where(SUBMISSION.c.generation_id.is_(None))
        .order_by(SUBMISSION.c.source.desc(), SUBMISSION.c.sent_ms.desc())
        .limit(_LOOKED_AT)
    )
    rows = [row for row in connection.execute(latest) if row.state in states]
    return [submitted(row) for row in rows[:limit]]


def submissions_by_name(connection: Connection, *, after: str | None, limit: int) -> Page[Submitted]:
    """Return up to *limit* submissions after the name *after*, by name."""
    named = select(SUBMISSION).order_by(SUBMISSION.c.client_ref).limit(limit + 1)
    if after is not None:
        named = named.where(SUBMISSION.c.client_ref > after)
    rows = connection.execute(named).all()
    found = [submitted(row) for row in rows[:limit]]
    return Page(found, (found[-1].client_ref,) if found else None, more=len(rows) > limit)
