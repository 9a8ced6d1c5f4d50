"""Builds PostgreSQL's indexes without blocking anyone, and tells whose locks a migration waits for."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Dialect, Index, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from receiver.store.migrations.indexes import RETIRED
from receiver.store.postgres_url import Target
from receiver.store.postgresql import Session, open_session
from receiver.store.tables import METADATA

Tell = Callable[[str], None]

_TELL_S: Final = 5.0
_KNOWN: Final = """
    SELECT c.relname, i.indisvalid FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
    WHERE t.relname = ANY(%(tables)s) AND pg_table_is_visible(t.oid)
"""
_PROGRESS: Final = """
    SELECT coalesce(p.phase, 'waiting'), p.blocks_done, p.blocks_total, pg_blocking_pids(%(pid)s)
    FROM (VALUES (1)) AS one LEFT JOIN pg_stat_progress_create_index p ON p.pid = %(pid)s
"""
_HOLDERS: Final = """
    SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.relation IN (SELECT oid FROM pg_class WHERE relname = ANY(%(tables)s))
      AND a.xact_start < clock_timestamp() - interval '200 milliseconds'
"""
"""Those whose transactions began before ours started to wait."""
_ABOUT: Final = """
    SELECT pid, coalesce(nullif(application_name, ''), '?'), usename, coalesce(state, '?'),
           to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS'), to_char(query_start, 'HH24:MI:SS')
    FROM pg_stat_activity WHERE pid = ANY(%(pids)s) ORDER BY xact_start
"""


def indexes() -> list[Index]:
    """Return the indexes that the schema declares, in a fixed order."""
    declared = [index for table in METADATA.tables.values() for index in table.indexes]
    return sorted(declared, key=lambda index: str(index.name))


def create_all(connection: Connection) -> None:
    """Create the indexes of tables that are not in use yet, within the caller's transaction."""
    for index in indexes():
        connection.execute(text(_statement(index)))


def build(target: Target, tell: Tell) -> None:
    """Build each index that is missing or half-built, then drop the retired ones.

    Readers and writers do not wait for it. It waits for older transactions, however long they take, and
    reports whose they are.
    """
    with _unhurried(target) as session:
        # The indexes of our tables, and whether each is complete.
        rows: Any = session.execute(_KNOWN, {"tables": [*METADATA.tables]}).fetchall()
        known = dict(rows)
        for index in indexes():
            name = str(index.name)
            if known.get(name):
                continue
            if name in known:
                session.execute(f"DROP INDEX CONCURRENTLY {name}")
            task = f"building the index {name} on {index.table}"
            tell(task)
            with _telling(target, session, task, tell):
                session.execute(_statement(index).replace("INDEX", "INDEX CONCURRENTLY", 1))
        for name in known:
            if name.startswith(f"{RETIRED}ix_"):
                with _telling(target, session, f"dropping the index {name}", tell):
                    session.execute(f"DROP INDEX CONCURRENTLY {name}")


@contextmanager
def _unhurried(target: Target) -> Iterator[Session]:
    with open_session(target) as session:
        session.autocommit = True
        session.execute("SET statement_timeout = 0")
        session.execute("SET lock_timeout = 0")
        yield session


def _statement(index: Index) -> str:
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
    return str(CreateIndex(index).compile(dialect=dialect))


@contextmanager
def _telling(target: Target, session: Session, task: str, tell: Tell) -> Iterator[None]:
    """Report now and then how far the work of *session* is, and whom it waits for."""
    done, pid = threading.Event(), session.info.backend_pid

    def watch() -> None:
        while not done.wait(_TELL_S):
            with suppress(psycopg.Error):
                tell(f"{task}: {_progress(target, pid)}")

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()


def _progress(target: Target, pid: int) -> str:
    # A new connection each time: the index build waits for every transaction older than itself.
    with open_session(target) as session:
        session.autocommit = True
        row: Any = session.execute(_PROGRESS, {"pid": pid}).fetchone()
        phase, blocks, total, blockers = row
        share = f", {100 * blocks // total}%" if total else ""
        return f"{phase}{share}" + (f"; waits for {described(session, blockers)}" if blockers else "")


def holders(session: Session) -> str:
    """Describe the sessions that have long held locks on our tables; "nobody by now" if they have ended."""
    rows: Any = session.execute(_HOLDERS, {"tables": [*METADATA.tables]}).fetchall()
    return described(session, [pid for (pid,) in rows])


def described(session: Session, pids: Sequence[int]) -> str:
    """Describe the sessions with these process ids."""
    rows: Any = session.execute(_ABOUT, {"pids": list(pids)}).fetchall()
    lines = (
        f"process {pid} ({application}, user {user}, {state}, since {began} UTC, last query at {query})"
        for pid, application, user, state, began, query in rows
    )
    return ", ".join(lines) or "nobody by now"
