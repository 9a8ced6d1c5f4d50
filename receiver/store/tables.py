"""The tables. Times are milliseconds since the epoch, so that SQLite and PostgreSQL compare them alike.

`event` and `delivery` are also the queues: a row is due once `due_ms` has passed while its state is
`pending`. A claim writes a random `lease` and moves `due_ms` to the moment that lease runs out, so the
work of a dead worker becomes due again by itself. A delivery whose `due_ms` is negative was backfilled: it is
due, and waits behind all others.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Index, LargeBinary, Table, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from receiver import states

PENDING: Final = states.PENDING
SETTLED: Final = states.SETTLED
LATE: Final = states.LATE
DELIVERED: Final = states.DELIVERED
DEAD: Final = states.DEAD
DROPPED: Final = states.DROPPED
OPEN: Final = states.OPEN
RESOLVED: Final = states.RESOLVED
PRUNED: Final = states.PRUNED

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
}


class EventRow(SQLModel, table=True):
    """One verified event, with the bytes it came in and the state of its mirroring."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("source", "generation_id", "type"),
        # Claims spare hosts and sources: with both in the index, SQLite passes over these and reads no row.
        Index(
            "ix_event_due",
            "due_ms",
            "asset_host",
            "source",
            postgresql_where=text("state = 'pending' AND asset_host IS NOT NULL"),
            sqlite_where=text("state = 'pending' AND asset_host IS NOT NULL"),
        ),
        Index(
            "ix_event_due_without_asset",
            "due_ms",
            postgresql_where=text("state = 'pending' AND asset_host IS NULL"),
            sqlite_where=text("state = 'pending' AND asset_host IS NULL"),
        ),
        Index(
            "ix_event_unsettled",
            "state",
            "id",
            postgresql_where=text("state <> 'settled' AND state <> 'pruned'"),
            sqlite_where=text("state <> 'settled' AND state <> 'pruned'"),
        ),
        Index(
            "ix_event_lease",
            "lease",
            postgresql_where=text("state = 'pending' AND lease IS NOT NULL"),
            sqlite_where=text("state = 'pending' AND lease IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True, max_length=36)
    source: str = Field(max_length=63)
    generation_id: str = Field(max_length=128)
    type: str = Field(max_length=128)
    asset_host: str | None = Field(default=None, max_length=255)
    body: bytes = Field(sa_type=LargeBinary)
    via: str = Field(max_length=16)
    received_ms: int = Field(sa_type=BigInteger)
    repeats: int = Field(default=0)
    state: str = Field(max_length=16)
    due_ms: int = Field(sa_type=BigInteger)
    lease: str | None = Field(default=None, max_length=32)
    attempts: int = Field(default=0)
    last_error: str | None = Field(default=None)
    kept_by: str | None = Field(default=None, max_length=32)
    """The spool folder that has its download, while it waits."""


class SpoolRow(SQLModel, table=True):
    """One spool folder, by the id in it, and when a worker that has it last said so."""

    __tablename__ = "spool"

    id: str = Field(primary_key=True, max_length=32)
    seen_ms: int = Field(sa_type=BigInteger)


class AssetRow(SQLModel, table=True):
    """The settled fate of one event's asset."""

    __tablename__ = "asset"
    __table_args__ = (
        Index(
            "ix_asset_settled",
            "settled_ms",
            postgresql_where=text("status = 'mirrored'"),
            sqlite_where=text("status = 'mirrored'"),
        ),
    )

    event_id: str = Field(primary_key=True, max_length=36, foreign_key="event.id", ondelete="CASCADE")
    status: str = Field(max_length=16)
    url: str | None = None
    content_type: str | None = Field(default=None, max_length=64)
    size_bytes: int | None = Field(default=None, sa_type=BigInteger)
    sha256: str | None = Field(default=None, max_length=64)
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    error: str | None = Field(default=None, max_length=64)
    settled_ms: int = Field(sa_type=BigInteger)
    retried_until_ms: int | None = Field(default=None, sa_type=BigInteger)


class LateAssetRow(SQLModel, table=True):
    """An asset that is still tried for after its event went out without it.

    A queue of its own, so that nobody who claims events reads it; a row is there as long as there is hope.
    """

    __tablename__ = "late_asset"

    event_id: str = Field(primary_key=True, max_length=36, foreign_key="event.id", ondelete="CASCADE")
    until_ms: int = Field(sa_type=BigInteger)
    due_ms: int = Field(sa_type=BigInteger, index=True)
    lease: str | None = Field(default=None, max_length=32)
    attempts: int = Field(default=0)
    last_error: str | None = Field(default=None)


class DeliveryRow(SQLModel, table=True):
    """One event for one destination: the outbox."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index(
            "ix_delivery_due",
            "destination",
            "due_ms",
            postgresql_where=text("state = 'pending'"),
            sqlite_where=text("state = 'pending'"),
        ),
        Index(
            "ix_delivery_lease",
            "lease",
            postgresql_where=text("state = 'pending' AND lease IS NOT NULL"),
            sqlite_where=text("state = 'pending' AND lease IS NOT NULL"),
        ),
        Index(
            "ix_delivery_settled",
            "destination",
            "state",
            "settled_ms",
            postgresql_where=text("settled_ms IS NOT NULL"),
            sqlite_where=text("settled_ms IS NOT NULL"),
        ),
        Index(
            "ix_delivery_dead",
            "event_id",
            "destination",
            postgresql_where=text("state = 'dead'"),
            sqlite_where=text("state = 'dead'"),
        ),
        Index(
            "ix_delivery_operation",
            "operation",
            "event_id",
            "destination",
            postgresql_where=text("operation IS NOT NULL"),
            sqlite_where=text("operation IS NOT NULL"),
        ),
    )

    event_id: str = Field(primary_key=True, max_length=36, foreign_key="event.id", ondelete="CASCADE")
    destination: str = Field(primary_key=True, max_length=63)
    state: str = Field(max_length=16)
    due_ms: int = Field(sa_type=BigInteger)
    lease: str | None = Field(default=None, max_length=32)
    attempts: int = Field(default=0)
    last_error: str | None = Field(default=None)
    settled_ms: int | None = Field(default=None, sa_type=BigInteger)
    submission: str | None = Field(default=None)
    undecided: bool | None = Field(default=None)
    """Whether the destination's filter is still to be asked, once the submission is known."""
    operation: str | None = Field(default=None, max_length=36)
    """The operator's request that last put it back in the queue, or dropped it."""
    before: str | None = Field(default=None)
    """What that request found, as JSON, for when it is cancelled; none if it made the row."""


class AttemptRow(SQLModel, table=True):
    """One attempt that failed: the latest of those whose number is `slot`, modulo the number of slots.

    Without a foreign key: looking for the event would cost each of them a lock.
    """

    __tablename__ = "attempt"

    event_id: str = Field(primary_key=True, max_length=36)
    destination: str = Field(primary_key=True, max_length=63)
    """Empty: of the event's asset. `:late`: of its late asset."""
    slot: int = Field(primary_key=True)
    number: int
    began_ms: int = Field(sa_type=BigInteger)
    took_ms: int = Field(sa_type=BigInteger)
    error: str
    said: str


class QuarantineRow(SQLModel, table=True):
    """A genuine delivery that we could not read, kept whole."""

    __tablename__ = "quarantine"
    __table_args__ = (
        UniqueConstraint("source", "sha256"),
        Index(
            "ix_quarantine_open",
            "id",
            postgresql_where=text("state = 'open'"),
            sqlite_where=text("state = 'open'"),
        ),
        Index(
            "ix_quarantine_closed",
            "id",
            postgresql_where=text("state IN ('resolved', 'dropped')"),
            sqlite_where=text("state IN ('resolved', 'dropped')"),
        ),
    )

    id: str = Field(primary_key=True, max_length=36)
    source: str = Field(max_length=63)
    sha256: str = Field(max_length=64)
    reason: str = Field(max_length=64)
    body: bytes = Field(sa_type=LargeBinary)
    received_ms: int = Field(sa_type=BigInteger)
    repeats: int = Field(default=0)
    state: str = Field(default=OPEN, max_length=16, sa_column_kwargs={"server_default": OPEN})
    event_id: str | None = Field(default=None, max_length=36)
    """The event it became."""
    operation: str | None = Field(default=None, max_length=36)
    """The operator's request that dropped or resolved it."""


class OperationRow(SQLModel, table=True):
    """One thing that an operator asked to be done to many rows, and how far it is."""

    __tablename__ = "operation"

    id: str = Field(primary_key=True, max_length=36)
    kind: str = Field(max_length=32)
    request: str
    state: str = Field(max_length=16)
    cursor: str | None = None
    matched: int = Field(sa_type=BigInteger)
    changed: int = Field(sa_type=BigInteger)
    begun_ms: int = Field(sa_type=BigInteger)
    touched_ms: int = Field(sa_type=BigInteger)
    next_due_ms: int = Field(sa_type=BigInteger)


class SubmissionRow(SQLModel, table=True):
    """One generation that our client asked for, written down before it was."""

    __tablename__ = "submission"
    __table_args__ = (
        UniqueConstraint("source", "generation_id"),
        Index(
            "ix_submission_open",
            "source",
            "sent_ms",
            postgresql_where=text("generation_id IS NULL"),
            sqlite_where=text("generation_id IS NULL"),
        ),
        Index(
            "ix_submission_request",
            "sent_ms",
            postgresql_where=text("state IN ('submitted', 'refused') AND request <> '{}'"),
            sqlite_where=text("state IN ('submitted', 'refused') AND request <> '{}'"),
        ),
    )

    client_ref: str = Field(primary_key=True)
    source: str = Field(max_length=63)
    kind: str = Field(max_length=16)
    request: str
    """`{}` once it is forgotten."""
    told: str
    state: str = Field(max_length=16)
    generation_id: str | None = Field(default=None, max_length=128)
    sent_ms: int | None = Field(default=None, sa_type=BigInteger)
    error: str | None = None
    next_look_ms: int | None = Field(default=None, sa_type=BigInteger)
    """When reconciling may ask for the generation by its id again; none if it has not yet."""


class RetentionRow(SQLModel, table=True):
    """How far one kind of row was pruned, and when the next batch may begin."""

    __tablename__ = "retention"

    name: str = Field(primary_key=True, max_length=16)
    cursor: str = Field(max_length=36)
    due_ms: int = Field(sa_type=BigInteger)


class RetainedRow(SQLModel, table=True):
    """An event that was old enough to be pruned and still needed, and when to look at it again."""

    __tablename__ = "retained"

    event_id: str = Field(primary_key=True, max_length=36)
    due_ms: int = Field(sa_type=BigInteger, index=True)


class ReconcileRow(SQLModel, table=True):
    """How far one source was reconciled, and who is at it."""

    __tablename__ = "reconcile"

    source: str = Field(primary_key=True, max_length=63)
    cursor: str | None = None
    due_ms: int = Field(sa_type=BigInteger)
    lease: str | None = Field(default=None, max_length=32)


class DestinationStateRow(SQLModel, table=True):
    """What operators want of one destination, and what its workers know of it. Absent: nothing."""

    __tablename__ = "destination_state"

    name: str = Field(primary_key=True, max_length=63)
    paused_ms: int | None = Field(default=None, sa_type=BigInteger)
    reason: str | None = None
    probe_ms: int | None = Field(default=None, sa_type=BigInteger)


class OutageRow(SQLModel, table=True):
    """A bucket or an asset host that some worker finds down. Absent, or not seen lately: none does."""

    __tablename__ = "outage"

    kind: str = Field(primary_key=True, max_length=16)
    name: str = Field(primary_key=True, max_length=255)
    error: str
    since_ms: int = Field(sa_type=BigInteger)
    seen_ms: int = Field(sa_type=BigInteger)


class AuditRow(SQLModel, table=True):
    """One thing that an operator did."""

    __tablename__ = "audit"

    id: str = Field(primary_key=True, max_length=36)
    at_ms: int = Field(sa_type=BigInteger)
    who: str = Field(max_length=128)
    what: str = Field(max_length=64)
    on_what: str


class NoticeRow(SQLModel, table=True):
    """What operators were told last of one cause: of something wrong, and of its end."""

    __tablename__ = "notice"

    cause: str = Field(primary_key=True, max_length=128)
    is_wrong: bool
    wrong_ms: int = Field(sa_type=BigInteger)
    well_ms: int = Field(sa_type=BigInteger)
    """0: of that they were told nothing yet."""


class SecretUseRow(SQLModel, table=True):
    """When a signing secret last verified a delivery, by its fingerprint; or when it was first configured."""

    __tablename__ = "secret_use"

    source: str = Field(primary_key=True, max_length=63)
    fingerprint: str = Field(primary_key=True, max_length=16)
    used_ms: int = Field(sa_type=BigInteger)


class PaceRow(SQLModel, table=True):
    """The rate limit of one API key, under a keyed hash of it. Its times are the provider's."""

    __tablename__ = "pace"

    name: str = Field(primary_key=True, max_length=64)
    most: int | None = None
    remaining: int | None = None
    reset_ms: int | None = Field(default=None, sa_type=BigInteger)
    opened_ms: int = Field(sa_type=BigInteger)
    paused_ms: int = Field(sa_type=BigInteger)
    skew_ms: int = Field(sa_type=BigInteger)


def _table(model: Any) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


EVENT: Final = _table(EventRow)
SPOOL: Final = _table(SpoolRow)
ASSET: Final = _table(AssetRow)
LATE_ASSET: Final = _table(LateAssetRow)
DELIVERY: Final = _table(DeliveryRow)
ATTEMPT: Final = _table(AttemptRow)
QUARANTINE: Final = _table(QuarantineRow)
SUBMISSION: Final = _table(SubmissionRow)
RETENTION: Final = _table(RetentionRow)
RETAINED: Final = _table(RetainedRow)
RECONCILE: Final = _table(ReconcileRow)
DESTINATION_STATE: Final = _table(DestinationStateRow)
OUTAGE: Final = _table(OutageRow)
PACE: Final = _table(PaceRow)
NOTICE: Final = _table(NoticeRow)
SECRET_USE: Final = _table(SecretUseRow)
OPERATION: Final = _table(OperationRow)
AUDIT: Final = _table(AuditRow)
METADATA: Final = SQLModel.metadata
