"""The tables. Times are milliseconds since the epoch, so that SQLite and PostgreSQL compare them alike.

`event` and `delivery` are also the queues: a row is due once `due_ms` has passed while its state is
`pending`. A claim writes a random `lease` and moves `due_ms` to the moment that lease runs out, so the
work of a dead worker becomes due again by itself. A delivery whose `due_ms` is negative was backfilled: it is
due, and waits behind all others.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

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

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


def _partial_index(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, postgresql_where=text(where), sqlite_where=text(where))


def _event_id() -> Column[str]:
    """Return the key of a row that goes with its event."""
    return Column("event_id", String(36), ForeignKey("event.id", ondelete="CASCADE"), primary_key=True)


EVENT: Final = Table(
    "event",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("source", String(63), nullable=False),
    Column("generation_id", String(128), nullable=False),
    Column("type", String(128), nullable=False),
    Column("asset_host", String(255)),
    Column("body", LargeBinary, nullable=False),
    Column("via", String(16), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("repeats", Integer, nullable=False, default=0),
    Column("state", String(16), nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("lease", String(32)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("last_error", String),
    Column("kept_by", String(32)),  # the spool folder that has its download, while it waits
    UniqueConstraint("source", "generation_id", "type"),
    # Claims spare hosts and sources: with both in the index, SQLite passes over these and reads no row.
    _partial_index(
        "ix_event_due", "due_ms", "asset_host", "source", where="state = 'pending' AND asset_host IS NOT NULL"
    ),
    _partial_index("ix_event_due_without_asset", "due_ms", where="state = 'pending' AND asset_host IS NULL"),
    _partial_index("ix_event_unsettled", "state", "id", where="state <> 'settled' AND state <> 'pruned'"),
    _partial_index("ix_event_lease", "lease", where="state = 'pending' AND lease IS NOT NULL"),
)
"""Verified events, each with the bytes it came in and the state of its mirroring."""

SPOOL: Final = Table(
    "spool",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
)
"""Spool folders, by the id in each, and when a worker that has it last said so."""

ASSET: Final = Table(
    "asset",
    METADATA,
    _event_id(),
    Column("status", String(16), nullable=False),
    Column("url", String),
    Column("content_type", String(64)),
    Column("size_bytes", BigInteger),
    Column("sha256", String(64)),
    Column("width", Integer),
    Column("height", Integer),
    Column("duration_s", Float),
    Column("error", String(64)),
    Column("settled_ms", BigInteger, nullable=False),
    Column("retried_until_ms", BigInteger),
    _partial_index("ix_asset_settled", "settled_ms", where="status = 'mirrored'"),
)
"""The settled fate of each event's asset."""

LATE_ASSET: Final = Table(
    "late_asset",
    METADATA,
    _event_id(),
    Column("until_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False, index=True),
    Column("lease", String(32)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("last_error", String),
)
"""Assets that are retried after their events went out without them, in a queue of their own: claims of
events do not read it."""

DELIVERY: Final = Table(
    "delivery",
    METADATA,
    _event_id(),
    Column("destination", String(63), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("lease", String(32)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("last_error", String),
    Column("settled_ms", BigInteger),
    Column("submission", String),
    Column("undecided", Boolean),  # whether to ask the destination's filter once the submission is known
    Column("operation", String(36)),  # the operator's request that last requeued or dropped it
    Column("before", String),  # what that request found, as JSON, for its cancelling; none if it made the row
    _partial_index("ix_delivery_due", "destination", "due_ms", where="state = 'pending'"),
    _partial_index("ix_delivery_lease", "lease", where="state = 'pending' AND lease IS NOT NULL"),
    _partial_index(
        "ix_delivery_settled", "destination", "state", "settled_ms", where="settled_ms IS NOT NULL"
    ),
    _partial_index("ix_delivery_dead", "event_id", "destination", where="state = 'dead'"),
    _partial_index(
        "ix_delivery_operation", "operation", "event_id", "destination", where="operation IS NOT NULL"
    ),
)
"""The outbox: one row for each event and destination."""

ATTEMPT: Final = Table(
    "attempt",
    METADATA,
    # No foreign key: looking for the event would cost each row a lock.
    Column("event_id", String(36), primary_key=True),
    Column("destination", String(63), primary_key=True),  # "": the event's asset; ":late": its late asset
    Column("slot", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("began_ms", BigInteger, nullable=False),
    Column("took_ms", BigInteger, nullable=False),
    Column("error", String, nullable=False),
    Column("said", String, nullable=False),
)
"""Failed attempts: in each `slot` the latest whose number has that remainder."""

QUARANTINE: Final = Table(
    "quarantine",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("source", String(63), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("repeats", Integer, nullable=False, default=0),
    Column("state", String(16), nullable=False, default=OPEN, server_default=OPEN),
    Column("event_id", String(36)),  # the event it became
    Column("operation", String(36)),  # the operator's request that dropped or resolved it
    UniqueConstraint("source", "sha256"),
    _partial_index("ix_quarantine_open", "id", where="state = 'open'"),
    _partial_index("ix_quarantine_closed", "id", where="state IN ('resolved', 'dropped')"),
)
"""Genuine deliveries that we could not read, kept whole."""

OPERATION: Final = Table(
    "operation",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("request", String, nullable=False),
    Column("state", String(16), nullable=False),
    Column("cursor", String),
    Column("matched", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("begun_ms", BigInteger, nullable=False),
    Column("touched_ms", BigInteger, nullable=False),
    Column("next_due_ms", BigInteger, nullable=False),
)
"""What operators asked to be done to many rows, and how far each is."""

SUBMISSION: Final = Table(
    "submission",
    METADATA,
    Column("client_ref", String, primary_key=True),
    Column("source", String(63), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("request", String, nullable=False),  # `{}` once it is forgotten
    Column("told", String, nullable=False),  # what messages say of it
    Column("state", String(16), nullable=False),
    Column("generation_id", String(128)),
    Column("sent_ms", BigInteger),
    Column("error", String),
    Column("next_look_ms", BigInteger),  # when reconciling may ask for it again; none if it has not yet
    UniqueConstraint("source", "generation_id"),
    _partial_index("ix_submission_open", "source", "sent_ms", where="generation_id IS NULL"),
    _partial_index(
        "ix_submission_request", "sent_ms", where="state IN ('submitted', 'refused') AND request <> '{}'"
    ),
)
"""Generations that our client asked for, each written down before it was."""

RETENTION: Final = Table(
    "retention",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("cursor", String(36), nullable=False),
    Column("due_ms", BigInteger, nullable=False),
)
"""How far each kind of row was pruned, and when the next batch may begin."""

RETAINED: Final = Table(
    "retained",
    METADATA,
    Column("event_id", String(36), primary_key=True),
    Column("due_ms", BigInteger, nullable=False, index=True),
)
"""Events that were old enough to be pruned and still needed, and when to look at each again."""

RECONCILE: Final = Table(
    "reconcile",
    METADATA,
    Column("source", String(63), primary_key=True),
    Column("cursor", String),
    Column("due_ms", BigInteger, nullable=False),
    Column("lease", String(32)),
)
"""How far each source was reconciled, and who is at it."""

DESTINATION_STATE: Final = Table(
    "destination_state",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("paused_ms", BigInteger),
    Column("reason", String),
    Column("probe_ms", BigInteger),
)
"""What operators want of a destination, and what its workers know of it. No row: nothing."""

OUTAGE: Final = Table(
    "outage",
    METADATA,
    Column("kind", String(16), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("error", String, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)
"""Buckets and asset hosts that some worker finds down. No row, or none seen lately: no worker does."""

AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
    Column("what", String(64), nullable=False),
    Column("on_what", String, nullable=False),
)
"""What operators did."""

NOTICE: Final = Table(
    "notice",
    METADATA,
    Column("cause", String(128), primary_key=True),
    Column("is_wrong", Boolean, nullable=False),
    Column("wrong_ms", BigInteger, nullable=False),
    Column("well_ms", BigInteger, nullable=False),  # 0: its end was not reported yet
)
"""What was last reported to operators of each cause: that something is wrong, and its end."""

SECRET_USE: Final = Table(
    "secret_use",
    METADATA,
    Column("source", String(63), primary_key=True),
    Column("fingerprint", String(16), primary_key=True),
    Column("used_ms", BigInteger, nullable=False),
)
"""When each signing secret last verified a delivery, or was first configured."""

PACE: Final = Table(
    "pace",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("most", Integer),
    Column("remaining", Integer),
    Column("reset_ms", BigInteger),
    Column("opened_ms", BigInteger, nullable=False),
    Column("paused_ms", BigInteger, nullable=False),
    Column("skew_ms", BigInteger, nullable=False),
)
"""The rate limit of each API key, under a keyed hash of it. Its times are the provider's."""
