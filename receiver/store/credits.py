"""When the provider last refused a generation for lack of credits. Nothing else shows how many are left."""

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from receiver.store.filters import distinct
from receiver.store.tables import SUBMISSION

_LATEST: Final = 100
"""Submissions checked per source."""
_IS_LACK: Final = re.compile(r"insufficient_credits|you need \d+ credits|not enough credits", re.IGNORECASE)
"""Matches a refusal for lack of credits. Only its text is kept."""
_LEFT: Final = re.compile(r"only have (\d{1,15})\b|\((\d{1,15}) left\)", re.IGNORECASE)
_UNSETTLED: Final = SUBMISSION.c.generation_id.is_(None)


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
