"""Alembic's entry point: runs the revisions on the connection handed over by `migrate`."""

from alembic import context

from receiver.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
