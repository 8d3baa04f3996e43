"""Entry of Alembic: runs the migrations on the connection that the opener holds, in its transaction."""

from alembic import context

from nnlqp_nas.database.schema import VERSION_TABLE, metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE)
context.run_migrations()
