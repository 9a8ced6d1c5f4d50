"""What operators are told: each thing once when it starts and once when it ends, at least an hour apart.

All processes coordinate through one table. The event that tells is written in the transaction that records it
as told, and goes through the outbox like any other.
"""

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select, update

from receiver.events import OPERATOR, OPERATOR_SOURCE, event_id, event_ms, operator_body
from receiver.store.backlog import SETTLED_ONES
from receiver.store.claim import IS_PENDING
from receiver.store.destinations import DestinationStatus, destination_statuses
from receiver.store.engine import insert_into, wake_others
from receiver.store.outages import Outage, find_outages
from receiver.store.record import EVENT_KEY, NewEvent, event_row
from receiver.store.rows import insert_new
from receiver.store.search import IS_OPEN, IS_UNSETTLED
from receiver.store.spools import Spool, see_spool, spool_of
from receiver.store.submitted import CreditsRefused, credits_refused
from receiver.store.tables import DEAD, DELIVERY, EVENT, NOTICE, PENDING, QUARANTINE, SECRET_USE, SPOOL
from receiver.store.wake import MIRROR

QUIET_MS: Final = 3_600_000
"""The same cause is not reported again within this time."""
_MOST_CAUSE_CHARS: Final = 110
_NO_IDENTIFIER: Final = re.compile(r"[^A-Za-z0-9_.:-]")
_WORKER: Final = "worker:"
_FORGET_MS: Final = 30 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Observed:
    """The present state of one thing, as seen by someone who knows."""

    cause: str
    """What it is about, such as `destination:orders`; the same in every process."""
    is_wrong: bool
    wrong: str
    """The word that reports it, `destination_down`."""
    well: str | None = None
    """The word that reports its end, if that is reported."""
    summary: str = ""
    """A sentence for a person."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, str] = field(default_factory=dict)
    """What to do about it: `next` and `runbook`."""
    latest_ms: int | None = None
    """For recurring things: when it last happened. Reported again if that was after the report."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the store knows that operators may need to hear. Times are milliseconds since the epoch."""

    destinations: Sequence[DestinationStatus]
    dead_ms: Mapping[str, int]
    """When the latest dead letter of a destination was given up."""
    oldest_event_ms: int | None
    """When the oldest event still waiting for its asset was received."""
    quarantined_ms: int | None
    """When the latest open body was quarantined."""
    workers: Sequence[Spool]
    """Those that did not stop by themselves."""
    secrets: Mapping[tuple[str, str], int]
    """When each secret of a source was last used, by source and fingerprint."""
    outages: Sequence[Outage]
    """Buckets and asset hosts that some worker finds down, longest first."""
    credits_refused: Sequence[CreditsRefused]


def look(connection: Connection, destinations: Collection[str]) -> Sight:
    """Look up what operators may need to hear. Uses only indexes."""
    used = select(SECRET_USE.c.source, SECRET_USE.c.fingerprint, SECRET_USE.c.used_ms)
    oldest = select(EVENT.c.received_ms).where(IS_UNSETTLED, EVENT.c.state == IS_PENDING)
    quarantined = connection.execute(select(func.max(QUARANTINE.c.id)).where(IS_OPEN)).scalar()
    return Sight(
        destinations=destination_statuses(connection, destinations),
        dead_ms={name: at for name in destinations if (at := _dead_ms(connection, name))},
        oldest_event_ms=connection.execute(oldest.order_by(EVENT.c.id).limit(1)).scalar(),
        quarantined_ms=event_ms(quarantined) if quarantined else None,
        workers=_workers(connection),
        outages=find_outages(connection),
        secrets={(source, mark): used_ms for source, mark, used_ms in connection.execute(used)},
        credits_refused=credits_refused(connection),
    )


def untold(connection: Connection, observed: Sequence[Observed], *, now_ms: int) -> list[Observed]:
    """Return which of *observed* are due to be reported, as far as can be seen without a lock."""
    causes = [_cause(one) for one in observed]
    known = {row.cause: row for row in connection.execute(select(NOTICE).where(NOTICE.c.cause.in_(causes)))}
    return [one for one in observed if _is_news(one, known.get(_cause(one)), now_ms)]


def tell(connection: Connection, observed: Sequence[Observed], *, now_ms: int) -> list[str]:
    """Write an event for each of *observed* that nobody has reported yet; return the words written."""
    told = []
    for one in sorted(observed, key=_cause):
        _expect(connection, _cause(one))
        ours = NOTICE.c.cause == _cause(one)
        row = connection.execute(select(NOTICE).where(ours).with_for_update()).one()
        if _is_news(one, row, now_ms):
            noted = {"is_wrong": one.is_wrong, "wrong_ms" if one.is_wrong else "well_ms": now_ms}
            connection.execute(update(NOTICE).where(ours).values(noted))
            if word := one.wrong if one.is_wrong else one.well:
                _write(connection, one, word, now_ms)
                told.append(word)
    if told:
        wake_others(connection, MIRROR)
    return told


def expect_worker(connection: Connection, spool: str, *, now_ms: int) -> None:
    """Record that the worker with the folder *spool* is running, and expected until it stops."""
    see_spool(connection, spool, now_ms=now_ms)
    is_forgotten = NOTICE.c.is_wrong, NOTICE.c.wrong_ms < now_ms - _FORGET_MS
    connection.execute(delete(NOTICE).where(NOTICE.c.cause.like(f"{_WORKER}%"), *is_forgotten))
    _expect(connection, _WORKER + spool)


def _expect(connection: Connection, cause: str) -> None:
    """Make sure that there is a row for *cause*."""
    first = {"cause": cause, "is_wrong": False, "wrong_ms": 0, "well_ms": 0}
    insert_new(connection, NOTICE, ("cause",), [first])


def let_worker_go(connection: Connection, spool: str) -> None:
    """Record that the worker with the folder *spool* has stopped."""
    connection.execute(delete(NOTICE).where(NOTICE.c.cause == _WORKER + spool))


def worker_cause(spool: str) -> str:
    """Return the cause that stands for the worker with the folder *spool*."""
    return _WORKER + spool


def note_secrets(connection: Connection, used: Mapping[tuple[str, str], bool], *, now_ms: int) -> None:
    """Record the latest uses of secrets, by source and fingerprint; for new secrets, their arrival.

    A new secret next to existing ones resets the time of each: from now on it shows which of them is still
    needed. Other secrets of these sources are forgotten, because they are no longer configured.
    """
    sources = {source for source, _ in used}
    known = select(SECRET_USE.c.source, SECRET_USE.c.fingerprint).where(SECRET_USE.c.source.in_(sources))
    are_known = {(source, mark) for source, mark in connection.execute(known)}
    used = {key: is_used or _is_joined(key, used, are_known) for key, is_used in used.items()}
    for (source, fingerprint), is_used in sorted(used.items()):
        row = {"source": source, "fingerprint": fingerprint, "used_ms": now_ms}
        insert = insert_into(SECRET_USE, connection.dialect).values(row)
        key = ["source", "fingerprint"]
        later = insert.on_conflict_do_update(index_elements=key, set_={"used_ms": now_ms})
        connection.execute(later if is_used else insert.on_conflict_do_nothing())
    for source in sources:
        marks = [mark for each, mark in used if each == source]
        gone = (SECRET_USE.c.source == source, SECRET_USE.c.fingerprint.not_in(marks))
        connection.execute(delete(SECRET_USE).where(*gone))


def _is_joined(
    key: tuple[str, str], all_of_them: Collection[tuple[str, str]], known: Collection[tuple[str, str]]
) -> bool:
    """Whether a known secret now has a new one beside it."""
    return key in known and any(one[0] == key[0] and one not in known for one in all_of_them)


def _is_news(one: Observed, row: Row[Any] | None, now_ms: int) -> bool:
    if row is None:
        return one.is_wrong
    if one.latest_ms is not None:
        return one.is_wrong and one.latest_ms > row.wrong_ms and row.wrong_ms <= now_ms - QUIET_MS
    told_ms: int = row.wrong_ms if one.is_wrong else row.well_ms
    return one.is_wrong != row.is_wrong and told_ms <= now_ms - QUIET_MS


def _write(connection: Connection, one: Observed, word: str, now_ms: int) -> None:
    subject = f"{_cause(one)}:{now_ms}"
    told = {"cause": one.cause, "summary": one.summary, "facts": one.facts, **one.steps}
    body = operator_body(subject, OPERATOR + word, told, now_ms=now_ms)
    new_id = event_id(now_ms, secrets.token_bytes(10))
    event = NewEvent(new_id, OPERATOR_SOURCE, subject, OPERATOR + word, None, body, "operator", now_ms)
    insert_new(connection, EVENT, EVENT_KEY, [event_row(event, PENDING)])


def _cause(one: Observed) -> str:
    return _NO_IDENTIFIER.sub("_", one.cause)[:_MOST_CAUSE_CHARS]


def _dead_ms(connection: Connection, destination: str) -> int | None:
    ours = SETTLED_ONES, DELIVERY.c.destination == destination, DELIVERY.c.state == DEAD
    latest = select(DELIVERY.c.settled_ms).where(*ours).order_by(DELIVERY.c.settled_ms.desc()).limit(1)
    return connection.execute(latest).scalar()


def _workers(connection: Connection) -> list[Spool]:
    expected = select(NOTICE.c.cause).where(NOTICE.c.cause.like(f"{_WORKER}%"))
    spools = [cause.removeprefix(_WORKER) for cause in connection.execute(expected).scalars()]
    return [spool_of(row) for row in connection.execute(select(SPOOL).where(SPOOL.c.id.in_(spools)))]
