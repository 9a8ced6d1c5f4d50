"""Submissions, for people: those in doubt, all by name, and the latest that lacked credits."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from receiver.store.filters import distinct
from receiver.store.story import Submitted, submitted
from receiver.store.tables import SUBMISSION
from receiver.store.window import Page

IN_DOUBT: Final = ("sending", "unknown")
_LOOKED_AT: Final = 2_000
_LATEST: Final = 100
"""Submissions checked per source."""
_IS_LACK: Final = re.compile(r"insufficient_credits|you need \d+ credits|not enough credits", re.IGNORECASE)
"""Matches a refusal for lack of credits. Only its text is kept."""
_LEFT: Final = re.compile(r"only have (\d{1,15})\b|\((\d{1,15}) left\)", re.IGNORECASE)
_UNSETTLED: Final = SUBMISSION.c.generation_id.is_(None)


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


@dataclass(frozen=True, slots=True)
class CreditsRefused:
    """A source's latest refusal for lack of credits."""

    source: str
    at_ms: int
    """When the request was sent, in milliseconds since the epoch."""
    left: int | None
    """How many there were then, if the provider said so."""


def credits_refused(connection: Connection) -> list[CreditsRefused]:
    """Return each source's latest refusal, from its latest 100 requests without a generation."""
    return [
        one
        for source in distinct(connection, SUBMISSION.c.source, _UNSETTLED)
        if (one := _latest(connection, source))
    ]


def _latest(connection: Connection, source: str) -> CreditsRefused | None:
    latest = (
        select(SUBMISSION.c.sent_ms, SUBMISSION.c.error)
        .where(_UNSETTLED, SUBMISSION.c.source == source, SUBMISSION.c.sent_ms > 0)
        .order_by(SUBMISSION.c.sent_ms.desc())
        .limit(_LATEST)
    )
    for at_ms, error in connection.execute(latest):
        if _IS_LACK.search(error or ""):
            told = _LEFT.search(error)
            return CreditsRefused(source, at_ms, int(told[1] or told[2]) if told else None)
    return None
