"""Result tables of an older version become those of this one: one transaction, on SQLite after a copy of the file."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from kernbench.errors import StorageError, first_line
from kernbench.host.files import part_of
from kernbench.store.database.opening import check_place, open_storage, outage_explained, read_storage
from kernbench.store.database.outage import is_outage, outlasting
from kernbench.store.database.refusals import failed_in_use, lacks_rights
from kernbench.store.database.schema import SCHEMA_VERSION, schema_version, set_version, version_in
from kernbench.store.database.url import shown_url, sqlite_path
from kernbench.store.tables.result_tables import add_declared, add_lacking, create_tables

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "kernbench_alembic"  # Optuna has its own, alembic_version, in the same database


def ready_tables(engine: Engine, url: str, say: Callable[[str], None]) -> None:
    """Make the result tables, or upgrade those of an older version.

    Args:
        engine: of a storage that was opened for work.
        url: its URL.
        say: called with one line if there was something to upgrade.

    Raises:
        StorageError: they cannot be upgraded, and are as they were; or are of a version that is not known.
    """
    create_tables(engine)
    try:
        said = _upgrade(engine, url)
        if said is None:
            add_declared(engine)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        if is_outage(error):
            raise
        if lacks_rights(error):
            raise failed_in_use(url, error) from error
        reason = first_line(getattr(error, "orig", None) or error)
        raise StorageError(
            f"storage {shown_url(url)} was not upgraded: {reason}; it is as it was, and the same command tries again"
        ) from error
    if said is not None:
        say(said)


def upgrade_storage(url: str, *, dry_run: bool = False) -> str:
    """Upgrade the result tables of a database; returns one line that says what was, or would be, done.

    Args:
        url: storage URL.
        dry_run: write nothing.

    Raises:
        StorageError: no database; or see `ready_tables`.
        StorageLostError: the database became unavailable.
    """
    reader = read_storage(url)
    before = None if reader is None else schema_version(reader.engine)
    if before is None:
        return f"storage {shown_url(url)} has no result tables yet: nothing to upgrade"
    if before < SCHEMA_VERSION and dry_run:
        path = sqlite_path(url)
        return _in_words(url, before, "would be upgraded", None if path is None else _free_name(path))
    said: list[str] = []
    if before < SCHEMA_VERSION:
        check_place(url)
        with closing(open_storage(url)) as storage, outage_explained(url):
            ready_tables(storage.engine, url, said.append)
    nothing = f"storage {shown_url(url)} has result tables of version {SCHEMA_VERSION}: nothing to upgrade"
    return said[0] if said else nothing


def _in_words(url: str, before: int, what: str, kept: Path | None) -> str:
    said = f"storage {shown_url(url)}: result tables {what} from version {before} to {SCHEMA_VERSION}"
    return said if kept is None else f"{said}; the database as it was is kept in {kept}"


@outlasting
def _upgrade(engine: Engine, url: str) -> str | None:
    """What was done; None where there is nothing to do, or another process has done it while this one waited."""
    if schema_version(engine) == SCHEMA_VERSION:
        return None
    kept: Path | None = None
    try:
        with engine.begin() as connection:
            before = version_in(connection, hold=True)
            if before is None or before == SCHEMA_VERSION:
                return None
            path = sqlite_path(url)
            kept = None if path is None else _keep_copy(path)
            _migrate(connection, before)
            add_lacking(connection)
    except BaseException:
        if kept is not None:
            kept.unlink(missing_ok=True)  # nothing was changed
        raise
    return _in_words(url, before, "were upgraded", kept)


def _migrate(connection: Connection, before: int) -> None:
    """Run the migrations from one version on, in the transaction of the connection."""
    from alembic import command  # noqa: PLC0415  # only where there is something to do

    config = _config(connection)
    command.stamp(config, str(before), purge=True)  # kernbench_meta says the version; alembic's own table follows it
    command.upgrade(config, "head")


def _config(connection: Connection | None = None) -> Any:  # Any: alembic is imported where it is needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes.update(connection=connection, version_table=VERSION_TABLE, on_version_apply=_note_version)
    return config


def _note_version(ctx: Any, step: Any, **_others: Any) -> None:  # Any: of alembic
    if step.is_upgrade and not step.is_stamp:
        set_version(ctx.connection, int(step.up_revision_id))


def fill_in(connection: Connection, version: int) -> None:
    """Give rows that came from tables of an older version the values that its migrations would have given them.

    Args:
        connection: to a database of this version.
        version: of the tables that the rows came from.
    """
    from alembic.script import ScriptDirectory  # noqa: PLC0415  # only where there is something to do

    if version == SCHEMA_VERSION:
        return
    scripts = ScriptDirectory.from_config(_config())
    for number in range(version + 1, SCHEMA_VERSION + 1):
        scripts.get_revision(str(number)).module.fill(connection)


def _keep_copy(path: Path) -> Path:
    """Copy a SQLite file, completely or not at all; the caller keeps others from writing."""
    kept = _free_name(path)
    part = part_of(kept)
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as origin,
            closing(sqlite3.connect(part)) as copy,
        ):
            origin.backup(copy)
        shutil.copymode(path, part)
        part.replace(kept)
    finally:
        part.unlink(missing_ok=True)
    os.sync()  # the copy is on the disk before anything changes
    return kept


def _free_name(path: Path) -> Path:
    """`kernbench.before-v2.db`, or `kernbench.before-v2-2.db` where an earlier copy has that name."""
    stem = f"{path.name.removesuffix('.db')}.before-v{SCHEMA_VERSION}"
    names = (f"{stem}.db" if number == 1 else f"{stem}-{number}.db" for number in count(1))
    return next(path.with_name(name) for name in names if not os.path.lexists(path.with_name(name)))
