"""What alembic runs for each command: the migrations, on the connection and in the transaction of `upgrade`."""

from alembic import context

given = context.config.attributes
context.configure(
    connection=given["connection"],
    version_table=given["version_table"],
    on_version_apply=given["on_version_apply"],
    transactional_ddl=True,  # alembic takes SQLite for a database without, because of what its driver used to do
)
context.run_migrations()
