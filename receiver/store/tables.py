"""The tables. Times are milliseconds since the epoch, so SQLite and PostgreSQL compare them the same way.

`event` and `delivery` are also the queues: a row is due once `due_ms` has passed while its state is
`pending`. A claim writes a random `lease` and moves `due_ms` to the end of that lease, so a dead worker's
work becomes due again by itself. A delivery with a negative `due_ms` was backfilled: it is due, but comes
after all others.
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
    # `receiver.store.migrations.building` does the same for PostgreSQL, whose dialect is slow to import.
    return Index(name, *columns, sqlite_where=text(where))


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
    Column("repeats", Integer, default=0, nullable=False),
    Column("state", String(16), nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("lease", String(32)),
    Column("attempts", Integer, default=0, nullable=False),
    Column("last_error", String),
    # The spool folder with its download, while it waits.
    Column("kept_by", String(32)),
    UniqueConstraint("source", "generation_id", "type"),
    # Claims skip hosts and sources: with both in the index, SQLite passes over them and reads no row.
    _partial_index(
        "ix_event_due", "due_ms", "asset_host", "source", where="state = 'pending' AND asset_host IS NOT NULL"
    ),
    _partial_index("ix_event_due_without_asset", "due_ms", where="state = 'pending' AND asset_host IS NULL"),
    _partial_index("ix_event_unsettled", "state", "id", where="state <> 'settled' AND state <> 'pruned'"),
    _partial_index("ix_event_lease", "lease", where="state = 'pending' AND lease IS NOT NULL"),
)
"""One verified event, with its original bytes and the state of its mirroring."""

SPOOL: Final = Table(
    "spool",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
    Column("host", String(255)),
    Column("pid", BigInteger),
    Column("stopped_ms", BigInteger),
)
"""One spool folder, by the id in it, with its worker, and when that was last seen and stopped cleanly."""

ASSET: Final = Table(
    "asset",
    METADATA,
    Column("event_id", String(36), ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
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
"""The final result for one event's asset."""

LATE_ASSET: Final = Table(
    "late_asset",
    METADATA,
    Column("event_id", String(36), ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, index=True, nullable=False),
    Column("lease", String(32)),
    Column("attempts", Integer, default=0, nullable=False),
    Column("last_error", String),
)
"""An asset that is still retried after its event was sent without it.

A separate queue, so that claims of events never read it. A row exists as long as there is hope.
"""

DELIVERY: Final = Table(
    "delivery",
    METADATA,
    Column("event_id", String(36), ForeignKey("event.id", ondelete="CASCADE"), primary_key=True),
    Column("destination", String(63), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("lease", String(32)),
    Column("attempts", Integer, default=0, nullable=False),
    Column("last_error", String),
    Column("settled_ms", BigInteger),
    Column("submission", String),
    # Whether the destination's filter must be evaluated again once the submission is known.
    Column("undecided", Boolean),
    # The operation that last requeued or dropped it.
    Column("operation", String(36)),
    # The state that operation found, as JSON, to restore if it is cancelled; none if it made the row.
    Column("before", String),
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
"""One event for one destination: the outbox."""

ATTEMPT: Final = Table(
    "attempt",
    METADATA,
    Column("event_id", String(36), primary_key=True),
    # Empty: an attempt at the event's asset. `:late`: at its late asset.
    Column("destination", String(63), primary_key=True),
    Column("slot", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("began_ms", BigInteger, nullable=False),
    Column("took_ms", BigInteger, nullable=False),
    Column("error", String, nullable=False),
    Column("said", String, nullable=False),
)
"""One failed attempt: the latest whose number is `slot`, modulo the number of slots.

It has no foreign key: checking the event would cost a lock for each row.
"""

QUARANTINE: Final = Table(
    "quarantine",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("source", String(63), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("repeats", Integer, default=0, nullable=False),
    Column("state", String(16), default=OPEN, server_default=OPEN, nullable=False),
    # The event it became.
    Column("event_id", String(36)),
    # The operation that dropped or resolved it.
    Column("operation", String(36)),
    UniqueConstraint("source", "sha256"),
    _partial_index("ix_quarantine_open", "id", where="state = 'open'"),
    _partial_index("ix_quarantine_closed", "id", where="state IN ('resolved', 'dropped')"),
)
"""A genuine delivery that we could not read, kept whole."""

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
"""One bulk change that an operator ordered, and its progress."""

SUBMISSION: Final = Table(
    "submission",
    METADATA,
    Column("client_ref", String, primary_key=True),
    Column("source", String(63), nullable=False),
    Column("kind", String(16), nullable=False),
    # `{}` once it is forgotten.
    Column("request", String, nullable=False),
    Column("told", String, nullable=False),
    Column("state", String(16), nullable=False),
    Column("generation_id", String(128)),
    Column("sent_ms", BigInteger),
    Column("error", String),
    # When reconciling may request the generation by id again; none if it has not yet.
    Column("next_look_ms", BigInteger),
    UniqueConstraint("source", "generation_id"),
    _partial_index("ix_submission_open", "source", "sent_ms", where="generation_id IS NULL"),
    _partial_index(
        "ix_submission_request", "sent_ms", where="state IN ('submitted', 'refused') AND request <> '{}'"
    ),
)
"""One generation that our client requested, recorded before the request."""

RETENTION: Final = Table(
    "retention",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("cursor", String(36), nullable=False),
    Column("due_ms", BigInteger, nullable=False),
)
"""How far one kind of row has been pruned, and when the next batch may begin."""

REMOVAL: Final = Table(
    "removal",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("mark", String(32), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)
"""The one announced removal: which file, and until when others wait for it."""

RETAINED: Final = Table(
    "retained",
    METADATA,
    Column("event_id", String(36), primary_key=True),
    Column("due_ms", BigInteger, index=True, nullable=False),
)
"""An event old enough to be pruned but still needed, and when to check it again."""

RECONCILE: Final = Table(
    "reconcile",
    METADATA,
    Column("source", String(63), primary_key=True),
    Column("cursor", String),
    Column("due_ms", BigInteger, nullable=False),
    Column("lease", String(32)),
)
"""How far one source has been reconciled, and who is doing it."""

DESTINATION_STATE: Final = Table(
    "destination_state",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("paused_ms", BigInteger),
    Column("reason", String),
    Column("probe_ms", BigInteger),
)
"""What operators want of one destination, and what its workers know about it. No row: nothing."""

OUTAGE: Final = Table(
    "outage",
    METADATA,
    Column("kind", String(16), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("error", String, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)
"""A bucket or asset host that some worker finds down. No row, or an old one: none does."""

AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
    Column("what", String(64), nullable=False),
    Column("on_what", String, nullable=False),
)
"""One action by an operator."""

NOTICE: Final = Table(
    "notice",
    METADATA,
    Column("cause", String(128), primary_key=True),
    Column("is_wrong", Boolean, nullable=False),
    Column("wrong_ms", BigInteger, nullable=False),
    # 0: not told yet.
    Column("well_ms", BigInteger, nullable=False),
)
"""What operators were last told about one cause: the trouble, and its end."""

SECRET_USE: Final = Table(
    "secret_use",
    METADATA,
    Column("source", String(63), primary_key=True),
    Column("fingerprint", String(16), primary_key=True),
    Column("used_ms", BigInteger, nullable=False),
)
"""When a signing secret, by fingerprint, last verified a delivery, or when it was first configured."""

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
"""The rate limit of one API key, under a keyed hash of the key. Its times are the provider's."""
