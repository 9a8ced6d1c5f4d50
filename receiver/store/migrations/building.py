"""Builds PostgreSQL's indexes without blocking anyone. The time it takes grows with the tables."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Dialect, Index, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from receiver.store.migrations.holders import described
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
        known = _known(session)
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


def _known(session: Session) -> dict[str, bool]:
    """Return the indexes of our tables, and whether each is complete."""
    rows: Any = session.execute(_KNOWN, {"tables": [*METADATA.tables]}).fetchall()
    return dict(rows)


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
