"""Who holds the locks that a migration waits for."""

from collections.abc import Sequence
from typing import Any, Final

from receiver.store.postgresql import Session
from receiver.store.tables import METADATA

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
