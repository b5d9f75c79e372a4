"""Whether the storage answers, locks and has room."""

from collections.abc import Iterator

from kernbench.doctor import server_locks, sqlite_locks
from kernbench.doctor.finding import Asked, Checks, Finding
from kernbench.doctor.room import room
from kernbench.errors import StorageError
from kernbench.store.database.opening import check_place, read_storage
from kernbench.store.database.schema import SCHEMA_VERSION, schema_version
from kernbench.store.database.url import shown_url, side_folder, sqlite_path

_SERVER = "start the server, or see that host, port, user and database in --storage are right (`psql` takes the same)"
_FILE = "give another --storage: sqlite:///FILE.db on a local disk that you may write to, or postgresql+psycopg://..."


def checks(asked: Asked) -> Checks:
    """Whether it answers, its locks, and its room."""
    return {"storage": lambda: _storage(asked.storage), "storage room": lambda: _room(asked.storage)}


def _storage(url: str) -> Iterator[Finding]:
    """What the storage holds; its locks are tried only where it answers."""
    path = sqlite_path(url)
    try:
        found = _reached(url)
    except StorageError as error:
        what, _, advice = str(error).partition("; see ")[0].partition("; ")
        yield Finding("storage", "fail", what, advice or (_FILE if path else _SERVER))
        yield Finding("storage locks", "skip", "the storage cannot be used")
        return
    yield Finding("storage", "ok", found)
    yield sqlite_locks.examined(path) if path else server_locks.examined(url)


def _room(url: str) -> Iterator[Finding]:
    path = sqlite_path(url)
    if path is None:
        folder = side_folder(url, "artifacts").absolute()
        yield room("storage room", folder, "start kernbench in a folder of another disk")
    else:
        yield room("storage room", path.absolute().parent, "give --storage on another disk")


def _reached(url: str) -> str:
    """What the storage holds, in words.

    Raises:
        StorageError: it cannot be used.
    """
    check_place(url)
    path = sqlite_path(url)
    if path and not path.exists():
        return f"{shown_url(url)} does not exist yet, and can be made"
    storage = read_storage(url)
    if storage is None:
        return f"{shown_url(url)} answers and is empty"
    try:
        studies, version = len(storage.get_all_studies()), schema_version(storage.engine)
    finally:
        storage.close()
    later = f", which the next run upgrades to {SCHEMA_VERSION}" if version and version < SCHEMA_VERSION else ""
    tables = f", result tables of version {version}{later}" if version else ""
    return f"{shown_url(url)} answers: {'1 study' if studies == 1 else f'{studies} studies'}{tables}"
