"""Version of the result tables of a database, asked before anything else is read or written there."""

from sqlalchemy import Connection, Engine, String, column, inspect, select, table, update

from kernbench.errors import StorageError, one_line
from kernbench.store.database.outage import outlasting
from kernbench.store.database.url import shown_url

SCHEMA_VERSION = 2  # of the tables that this kernbench writes; each version from 1 on can be read and upgraded
META = table("kernbench_meta", column("key", String), column("value", String))
KEY = "schema"


class SchemaError(StorageError):
    """The result tables are of a version that this kernbench does not know."""


@outlasting
def schema_version(engine: Engine) -> int | None:
    """Version of the result tables, from 1 to SCHEMA_VERSION; None where there are none yet; touches nothing.

    Raises:
        SchemaError: they are of another version.
    """
    with engine.connect() as connection:
        return version_in(connection) if inspect(connection).has_table(META.name) else None


def version_in(connection: Connection, *, hold: bool = False) -> int | None:
    """The same, where there is a table that says it; None if it was made a moment ago, or its making was cut off.

    Args:
        connection: to the database.
        hold: keep others from changing it until the transaction ends (SQLite has one writer anyway).

    Raises:
        SchemaError: see `schema_version`.
    """
    query = select(META.c.value).where(META.c.key == KEY)
    value = connection.execute(query.with_for_update() if hold else query).scalar()
    if value is None:
        return None
    if value not in map(str, range(1, SCHEMA_VERSION + 1)):
        where = shown_url(connection.engine.url.render_as_string(hide_password=False))
        raise SchemaError(
            f"storage {where}: its result tables have version {one_line(value, 40)}, this kernbench knows 1 to "
            f"{SCHEMA_VERSION}; use the kernbench that made them, or a newer one, or give another --storage"
        )
    return int(value)


def set_version(connection: Connection, version: int) -> None:
    """Note the version that the tables have now."""
    connection.execute(update(META).where(META.c.key == KEY).values(value=str(version)))
