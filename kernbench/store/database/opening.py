"""Optuna's storage on SQLite or PostgreSQL, so that claims are exclusive and heartbeats outlive an outage."""

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import optuna
from sqlalchemy import Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from kernbench.errors import KernbenchError, StorageError
from kernbench.host.file_systems import file_system
from kernbench.store.database import outage
from kernbench.store.database.outage import Outages
from kernbench.store.database.refusals import REFUSALS, cannot_open, failed_in_use
from kernbench.store.database.schema import schema_version
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.database.url import shown_url, sqlite_path

# a line per trial, a traceback per failed one: they would run through the progress display, and both are stored
optuna.logging.set_verbosity(optuna.logging.ERROR)

LOCK_TIMEOUT_S = 60
HEARTBEAT_S = 60
SCHEMA_TRIES = 10  # several processes make the tables concurrently: each try gets further
SERVER_OPTIONS = {
    "client_encoding": "utf8",  # else that of the database, and with SQL_ASCII every text would come as bytes
    "prepare_threshold": None,  # a prepared statement outlives its transaction: see _in_utc
    # a host that vanishes sends nothing, not even a refusal; seconds, but for the last
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
GRACE_S = 240  # two heartbeats, one of them missed, and a full wait for the lock
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "lustre", "beegfs", "gpfs", "ceph", "9p", "fuse.sshfs"}

Made = TypeVar("Made")


def _in_utc(engine: Engine) -> None:
    """Begin every transaction on a server in UTC: heartbeats carry no zone.

    Nothing here may outlive its transaction. A pooler (PgBouncer) hands the server's session to somebody else then.
    """
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'"))


def open_storage(url: str, interval: int = HEARTBEAT_S, grace: int = GRACE_S) -> SteadyStorage:
    """Open, and on first use create, the database for work.

    Args:
        url: from `resolve_url`.
        interval: seconds between heartbeats.
        grace: seconds after the last heartbeat until a trial counts as lost.

    Raises:
        StorageError: it cannot be opened, with the first line of the reason.
        SchemaError: its result tables are of a version that is not known.
    """
    check_place(url)
    path = sqlite_path(url)
    options = {"connect_args": connect_args(url)} | ({} if path else {"pool_pre_ping": True})
    outages = Outages(shown_url(url), seconds=0)  # a run that cannot begin fails immediately
    try:
        if path is None or path.exists():
            _check_owner(create_engine(url, poolclass=NullPool, connect_args=connect_args(url)))
        storage = making_tables(
            lambda: SteadyStorage(url, outages, options, heartbeat_interval=interval, grace_period=grace)
        )
        try:
            schema_version(storage.engine)  # refuses one that is not known
        finally:
            storage.engine.dispose()  # drop connections opened before the listeners
        if path:
            event.listen(storage.engine, "connect", _begin_sqlite)
            # SQLite ignores FOR UPDATE: without this two workers claim the same cell
            event.listen(storage.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        else:
            _in_utc(storage.engine)
    except REFUSALS as error:
        raise cannot_open(url, error) from error
    outages.seconds = outage.OUTAGE_S
    return storage


def connect_args(url: str) -> dict[str, Any]:
    """Options of the driver; those in the URL take precedence."""
    if sqlite_path(url):
        return {"timeout": LOCK_TIMEOUT_S}
    return {name: value for name, value in SERVER_OPTIONS.items() if name not in make_url(url).query}


def _begin_sqlite(dbapi: sqlite3.Connection, _record: object) -> None:
    dbapi.execute("PRAGMA journal_mode=WAL")
    dbapi.isolation_level = None  # sqlite3 must not open transactions itself


def _only_reading(dbapi: Any, _record: object) -> None:  # Any: psycopg is optional
    if isinstance(dbapi, sqlite3.Connection):
        dbapi.execute("PRAGMA query_only=ON")
    else:
        dbapi.read_only = True  # psycopg then says so in every BEGIN, and the session knows nothing of it


def making_tables(make: Callable[[], Made]) -> Made:
    """What `make` returns, tried again while other processes make the same tables.

    Raises:
        SQLAlchemyError: another error, or still this one after `SCHEMA_TRIES`.
    """
    for _ in range(SCHEMA_TRIES - 1):
        try:
            return make()
        except SQLAlchemyError as error:  # table creation is not protected, on no database
            if not isinstance(error, IntegrityError) and "already exists" not in str(error):
                raise
    return make()


def read_storage(url: str, outages: Outages | None = None) -> SteadyStorage | None:
    """A storage for reading only: takes no write lock, makes no table, blocks no writer.

    Args:
        url: from `resolve_url`.
        outages: of a process that works on the database, too; by default no call waits for it.

    Returns:
        The storage, or None when the database exists but holds no Optuna tables.

    Raises:
        StorageError: there is no such database, or it cannot be opened.
        SchemaError: its result tables are of a version that is not known.
    """
    path = sqlite_path(url)
    if path is not None and not path.is_file():
        raise StorageError(
            f"storage {shown_url(url)}: no database there yet; `kernbench run` makes one, or give --storage"
        )
    # without a pool a reader has nothing to close
    options: dict[str, Any] = {"poolclass": NullPool, "connect_args": connect_args(url)}
    try:
        engine = create_engine(url, **options)
        _check_owner(engine)
        if not _is_ready(engine):
            return None
        known = outages or Outages(shown_url(url), seconds=0)
        storage = SteadyStorage(url, known, options, skip_table_creation=True)
        event.listen(storage.engine, "connect", _only_reading)
        if path is None:
            _in_utc(storage.engine)
        schema_version(storage.engine)  # refuses one that is not known
    except REFUSALS as error:
        raise cannot_open(url, error) from error
    return storage


def _is_ready(engine: Engine) -> bool:
    """Whether Optuna has finished making its tables; its constructor would write into half-made ones."""
    with engine.connect() as connection:
        if not {"studies", "version_info", "alembic_version"} <= set(inspect(connection).get_table_names()):
            return False
        counts = [text("SELECT count(*) FROM version_info"), text("SELECT count(*) FROM alembic_version")]
        return all(connection.execute(count).scalar() for count in counts)


def _check_owner(engine: Engine) -> None:
    """Refuse a database of another program that uses alembic, as MLflow's: Optuna would take its version for its own.

    Raises:
        StorageError: it is one.
    """
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" not in tables:
            return
        versions = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    # Optuna makes version_info first, and calls its versions v3.2.0.a
    if "version_info" not in tables or not all(re.match(r"v[0-9]+\.", version) for version in versions):
        url = engine.url.render_as_string(hide_password=False)
        raise StorageError(
            f"storage {shown_url(url)}: its table alembic_version belongs to another program, MLflow for instance; "
            "give kernbench a database of its own with --storage"
        )


def check_place(url: str) -> None:
    """Check that a SQLite file can be made or written where the URL says; touches nothing.

    Raises:
        StorageError: folder missing, not writable or on a network file system; or the file is no SQLite database.
    """
    path = sqlite_path(url)
    if path is None:
        return
    cannot, folder = f"storage {shown_url(url)} cannot be opened", path.absolute().parent
    if not folder.is_dir():
        raise StorageError(f"{cannot}: folder {folder} does not exist")
    target = path if path.exists() else folder
    if not os.access(target, os.W_OK) or not os.access(folder, os.W_OK):
        raise StorageError(f"{cannot}: {target} is not writable; give another --storage")
    kind = file_system(folder)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise StorageError(
            f"storage {shown_url(url)}: SQLite needs a local disk, {folder} is on {kind}; use postgresql+psycopg://..."
        )
    if path.is_dir() or (path.exists() and not _is_sqlite(path)):
        raise StorageError(f"{cannot}: {path} is not a SQLite database")


@contextmanager
def outage_explained(url: str) -> Iterator[None]:
    """Turn the errors of a database that became unavailable while it was used into one line.

    Raises:
        StorageLostError: in place of Optuna's or SQLAlchemy's error, or of what Optuna makes of it.
        StorageError: the same, where the database refuses something and waiting would not help.
    """
    try:
        yield
    except KernbenchError:
        raise
    except Exception as error:
        # Optuna's own error path may end in an UnboundLocalError, raised while the cause was handled
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, optuna.exceptions.StorageInternalError | SQLAlchemyError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        raise failed_in_use(url, cause) from error


def _is_sqlite(path: Path) -> bool:
    # Asked of SQLite, never read as a file: closing any descriptor of it drops all POSIX locks of this process on it,
    # SQLite's among them; the next process would then assume that it is alone and remove the log that ours writes to.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        except sqlite3.DatabaseError as error:
            return "not a database" not in str(error)
    return True
