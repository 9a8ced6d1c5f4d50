"""Connections to PostgreSQL, and how each is set up before its first transaction.

A session relies on no default of the server, the database or the role. It sets everything with statements,
because poolers reject or ignore settings in the startup packet. Behind a pooler, each transaction may run on
another server connection. So each transaction sets everything again, for itself alone, and no statement is
prepared.
"""

from typing import Any, Final

from psycopg import Connection as Psycopg
from psycopg.conninfo import make_conninfo
from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from receiver.store.encoding import UNIVERSAL, escape_text
from receiver.store.postgres_url import Target, read_target
from receiver.store.postgresql_faults import Address, Generation, judge_connections
from receiver.telemetry.logger import Logger

_POOL_SIZE: Final = 8
_RECYCLE_S: Final = 1800

SETTINGS: Final = {
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    # A frozen process, or one that lost its network, keeps its locks no longer than this.
    "idle_in_transaction_session_timeout": "60s",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "synchronous_commit": "on",
    "search_path": '"$user", public',
    # Rows hidden by a policy raise an error instead of being left out silently.
    "row_security": "off",
    # A commit that was not replicated raises a warning.
    "client_min_messages": "warning",
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "bytea_output": "hex",
    "extra_float_digits": "3",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    # Compiling costs more than running any statement of ours.
    "jit": "off",
    "plan_cache_mode": "auto",
}
"""Set in every session; the URL overrides it."""
_SINCE: Final = {"transaction_timeout": (170_000, "0"), "idle_session_timeout": (140_000, "0")}
"""Settings of newer servers: the version that introduced each, and its value."""
_SAY: Final = """
    SELECT set_config(name, value, %(local)s OR pg_backend_pid() <> %(pid)s)
    FROM unnest(%(names)s::text[], %(values)s::text[]) AS said (name, value)
    WHERE (name <> 'synchronous_commit' OR current_setting(name) = 'off')
      AND (name <> 'search_path' OR %(schema)s OR current_schema() IS NULL)
"""
"""Never weakens a stronger durability, and keeps a search path that finds a schema."""
_LOOK: Final = """
    SELECT pg_backend_pid(), source IN ('database', 'user', 'database user')
    FROM pg_settings WHERE name = 'default_transaction_read_only'
"""

log = Logger()


class Session(Psycopg[tuple[Any, ...]]):
    """A connection that knows whether it goes through a pooler."""

    is_pooled = False


def connect_postgres(url: URL) -> Engine:
    """Return an engine whose connections all set what they rely on."""
    target = read_target(url)
    limit = target.most_connections
    engine = create_engine(
        url,
        pool_pre_ping=False,
        pool_recycle=_RECYCLE_S,
        pool_size=_POOL_SIZE if limit is None else limit,
        max_overflow=10 if limit is None else 0,
        pool_timeout=target.pool_timeout_s,
    )
    generation = Generation()
    event.listen(engine, "do_connect", _Opener(target, generation).open)
    event.listen(engine, "begin", _say_again(target))
    judge_connections(engine, generation)
    return engine


class _Opener:
    """Opens the connections of one engine."""

    def __init__(self, target: Target, generation: Generation) -> None:
        self._target = target
        self._generation = generation
        self._told = False

    def open(self, _dialect: Any, _entry: ConnectionPoolEntry | None, _args: Any, more: Any) -> Session:
        """Return a new connection to replace the one that SQLAlchemy would open."""
        session = open_session(self._target, last=self._generation.silent, context=more.get("context"))
        encoding = session.info.parameter_status("server_encoding") or ""
        if encoding not in UNIVERSAL and not self._told:
            self._told = True
            log.warning(
                "the database cannot hold every text; missing characters are escaped", encoding=encoding
            )
        return session


def open_session(target: Target, *, last: Address | None = None, context: Any = None) -> Session:
    """Connect, and set what we rely on, in two round trips; of several hosts, *last* is tried last."""
    conninfo = make_conninfo(**target.with_last(last))
    session = Session.connect(conninfo, context=context, autocommit=True)
    try:
        pid = session.info.backend_pid
        settings = said(target, session.info.server_version, pid=pid, local=target.is_pooled)
        try:
            session.execute(_SAY, settings)
        except QueryCanceled:
            # The default may be so short that not even this statement finishes in time.
            session.execute("SET statement_timeout = '10s'")
            session.execute(_SAY, settings)
        found = session.execute(_LOOK).fetchone()
        session.is_pooled = target.is_pooled or (found is not None and found[0] != pid)
        session.prepare_threshold = None if session.is_pooled else target.prepare_threshold
        if found is not None and found[1]:
            # The default of a role or database is read-only, or the server is; avoid a server that is.
            session.read_only = False
        escape_text(session)
        session.autocommit = False
    except BaseException:
        session.close()
        raise
    return session


def said(target: Target, version: int, *, pid: int, local: bool) -> dict[str, Any]:
    """Return the parameters of the statement that sets everything; *local*: for one transaction."""
    newer = {name: value for name, (since, value) in _SINCE.items() if version >= since}
    settings = {**SETTINGS, **newer, **target.settings}
    if settings["synchronous_commit"].lower() not in {"local", "remote_write", "remote_apply"}:
        settings["synchronous_commit"] = "on"
    return {
        "names": list(settings),
        "values": list(settings.values()),
        "schema": "search_path" in target.settings,
        "local": local,
        "pid": pid,
    }


def _say_again(target: Target) -> Any:
    def say(connection: Connection) -> None:
        session: Any = connection.connection.dbapi_connection
        if isinstance(session, Session) and session.is_pooled and not session.autocommit:
            # Through SQLAlchemy, which classifies errors.
            connection.exec_driver_sql(_SAY, said(target, session.info.server_version, pid=0, local=True))

    return say
