"""What Alembic runs: the steps from the schema that is there to the newest, on one connection.

The connection comes with a transaction that is already open, so that another process that opens
the same database waits, and a killed one leaves nothing half-made.
"""

from alembic import context

from federation.database.models import VERSION_TABLE, Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
