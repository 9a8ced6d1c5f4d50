"""The ledger of submissions, stored next to the events that will answer them."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import ColumnElement, Connection, Engine, Row, select, true, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from receiver.contract import COMPLETED, EVENT_TYPES
from receiver.errors import GenerationClaimed, StoreUnavailable
from receiver.events import Event, normalize
from receiver.store import migrations
from receiver.store.attempts import storable
from receiver.store.attribution import attach
from receiver.store.engine import insert_into, is_sqlite
from receiver.store.tables import EVENT, SUBMISSION
from receiver.store.transactions import describe, transact_in_time
from receiver.store.writer import Writer
from receiver.submissions import Submission

_REPLACED: Final = ("source", "kind", "request", "told", "state", "generation_id", "sent_ms", "error")
_FINAL: Final = "submitted"
_FREE: Final = "refused"

Result = TypeVar("Result")


class StoreLedger:
    """The submissions of one source, in the store's database. Blocks; safe for any number of threads.

    Every method raises `StoreUnavailable` if the database fails.

    Args:
        engine: the store's database.
        source: the account that the submissions belong to.
        clock: the time, in seconds since the epoch.
    """

    def __init__(self, engine: Engine, source: str, *, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._source = source
        self._clock = clock
        self._writer = Writer(engine)

    def migrate(self) -> None:
        """Migrate an embedded database to this release's schema; leave a shared one to `receiver migrate`."""
        if is_sqlite(self._engine):
            try:
                migrations.migrate(self._engine)
            except SQLAlchemyError as failure:
                raise StoreUnavailable(describe(failure)) from failure

    def begin(self, submission: Submission) -> Submission | None:
        """Record *submission* durably and return None, or return the row that already has its `client_ref`.

        A refused row no longer occupies its name.

        Raises:
            TypeError: the metadata is not JSON, so the event could not carry it.
        """
        values = self._values(submission)
        insert = insert_into(SUBMISSION, self._engine.dialect).values(values)
        replace = insert.on_conflict_do_update(
            index_elements=[SUBMISSION.c.client_ref],
            set_={name: insert.excluded[name] for name in _REPLACED},
            where=SUBMISSION.c.state == _FREE,
        )

        def work(connection: Connection) -> Submission | None:
            if connection.execute(replace.returning(SUBMISSION.c.client_ref)).one_or_none():
                return None
            return self._get(connection, submission.client_ref)

        return self._transact(work)

    def settle(
        self,
        client_ref: str,
        *,
        state: str,
        generation_id: str | None = None,
        error: str | None = None,
        sent_at: float | None = None,
    ) -> None:
        """Record the outcome of a submission, unless it has one or was sent again after *sent_at*.

        An event that waits for this is released, and carries the submission.

        Raises:
            GenerationClaimed: another submission has this generation.
        """
        said = error and storable(error)
        change = (
            update(SUBMISSION)
            .where(SUBMISSION.c.client_ref == client_ref, SUBMISSION.c.state != _FINAL, _sent(sent_at))
            .values(state=state, generation_id=generation_id, error=said)
            .returning(SUBMISSION.c.source, SUBMISSION.c.told)
        )

        def work(connection: Connection) -> None:
            row = connection.execute(change).one_or_none()
            if row is not None and generation_id is not None:
                now_ms = int(self._clock() * 1000)
                attach(connection, row.source, generation_id, row.told, now_ms=now_ms)

        try:
            self._transact(work)
        except StoreUnavailable as failure:
            if isinstance(failure.__cause__, IntegrityError):
                message = f"{generation_id} belongs to another submission already"
                raise GenerationClaimed(message) from failure.__cause__
            raise

    def renew(self, client_ref: str, *, was: float, sent_at: float) -> bool:
        """Update a row that is `sending` since *was* to *sent_at*; False if it no longer is."""
        change = (
            update(SUBMISSION)
            .where(SUBMISSION.c.client_ref == client_ref, SUBMISSION.c.state == "sending", _sent(was))
            .values(sent_ms=_ms(sent_at))
        )
        return self._transact(lambda connection: connection.execute(change).rowcount == 1)

    def get(self, client_ref: str) -> Submission | None:
        """Return the row with that name."""
        return self._transact(lambda connection: self._get(connection, client_ref))

    def claimed(self, generation_ids: Collection[str]) -> set[str]:
        """Return which of these already belong to a row."""
        known = select(SUBMISSION.c.generation_id).where(
            SUBMISSION.c.source == self._source, SUBMISSION.c.generation_id.in_(generation_ids)
        )
        return self._transact(lambda connection: set(connection.execute(known).scalars()))

    def list(self, *, state: str | None = None, limit: int = 100) -> Sequence[Submission]:
        """Return up to *limit* rows, all or those in *state*, latest sent first."""
        rows = select(SUBMISSION).where(SUBMISSION.c.source == self._source)
        if state is not None:
            rows = rows.where(SUBMISSION.c.state == state)
        latest = rows.order_by(SUBMISSION.c.sent_ms.desc().nulls_last(), SUBMISSION.c.client_ref)
        rows_found = self._transact(lambda connection: connection.execute(latest.limit(limit)).all())
        return [self._read(row) for row in rows_found]

    def outcome(self, generation_id: str) -> Mapping[str, object] | None:
        """Return the `data` object of the generation's terminal event; a completion before a failure."""
        return self.outcomes([generation_id]).get(generation_id)

    def outcomes(self, generation_ids: Collection[str]) -> Mapping[str, Mapping[str, object]]:
        """Return the `data` objects of the terminal events that exist, by generation."""
        endings = select(EVENT.c.generation_id, EVENT.c.type, EVENT.c.body).where(
            EVENT.c.source == self._source,
            EVENT.c.generation_id.in_(generation_ids),
            EVENT.c.type.in_(EVENT_TYPES),
        )
        rows = self._transact(lambda connection: connection.execute(endings).all())
        # A completion is last, so it wins over a failure.
        bodies = {row.generation_id: row.body for row in sorted(rows, key=lambda row: row.type == COMPLETED)}
        events = {name: normalize(body, source=self._source) for name, body in bodies.items()}
        return {name: event.data for name, event in events.items() if isinstance(event, Event)}

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _transact(self, work: Callable[[Connection], Result]) -> Result:
        with self._writer:
            return transact_in_time(self._engine, work)

    def _get(self, connection: Connection, client_ref: str) -> Submission | None:
        named = select(SUBMISSION).where(SUBMISSION.c.client_ref == client_ref)
        row = connection.execute(named).one_or_none()
        return None if row is None else self._read(row)

    def _values(self, submission: Submission) -> dict[str, Any]:
        shown = {"client_ref": submission.client_ref, "metadata": dict(submission.metadata)}
        sent_at = submission.sent_at
        return {
            "client_ref": submission.client_ref,
            "source": self._source,
            "kind": submission.kind,
            "request": orjson.dumps(dict(submission.request)).decode(),
            "told": orjson.dumps(shown).decode(),
            "state": submission.state,
            "generation_id": submission.generation_id,
            "sent_ms": None if sent_at is None else _ms(sent_at),
            "error": submission.error,
        }

    def _read(self, row: Row[Any]) -> Submission:
        return Submission(
            client_ref=row.client_ref,
            kind=row.kind,
            request=orjson.loads(row.request),
            state=row.state,
            generation_id=row.generation_id,
            metadata=orjson.loads(row.told)["metadata"],
            sent_at=None if row.sent_ms is None else row.sent_ms / 1000,
            error=row.error,
        )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _sent(sent_at: float | None) -> ColumnElement[bool]:
    return true() if sent_at is None else SUBMISSION.c.sent_ms == _ms(sent_at)
