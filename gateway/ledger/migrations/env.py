"""Run by Alembic; the connection and the one transaction of all migrations come from ``gateway.ledger.engine``."""

from alembic import context

from gateway.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    # SQLite can roll back DDL; Alembic does not assume it.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
