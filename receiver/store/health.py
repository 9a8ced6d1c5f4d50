"""Whether the store can take an event right now."""

from sqlalchemy import Connection, delete

from receiver.errors import StoreUnavailable
from receiver.store.migrations import current, revisions
from receiver.store.tables import QUARANTINE


def check(connection: Connection) -> None:
    """Refuse unless the schema fits this release and a write is taken. Changes nothing.

    A revision this release does not know is a newer release's, and fits: a rolling deployment migrates first.

    Raises:
        StoreUnavailable: there is no schema, or an older one than this release needs.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer or is read-only.
    """
    revision, known = current(connection), revisions()
    if revision is None or revision in known[1:]:
        raise StoreUnavailable(
            f"the schema is at {revision or 'nothing'}, not {known[0]}: run `receiver migrate`"
        )
    connection.execute(delete(QUARANTINE).where(QUARANTINE.c.id == ""))
