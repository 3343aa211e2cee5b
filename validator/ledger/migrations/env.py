"""Alembic's entry: runs the ledger's migrations on the connection that `migrate` hands in."""

from alembic import context

from validator.ledger.tables import Table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
context.run_migrations()
