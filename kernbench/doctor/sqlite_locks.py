"""Whether SQLite can lock where the database is: tried with a second process, on a database made for it."""

import errno
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from kernbench.doctor.finding import Finding
from kernbench.errors import first_line
from kernbench.host.file_systems import file_system

CHECK = "storage locks"
TAKEN, LOCKED = "taken", "database is locked"
WAIT_S = 2.0  # a worker writes for milliseconds
# Another process: SQLite itself keeps two connections of one process apart, whatever the file system does.
_PROGRAM = """
import sqlite3, sys
try:
    connection = sqlite3.connect(sys.argv[1], uri=True, timeout=0, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.Error as error:
    print(error)
else:
    print("taken")
"""
_ADVICE = "two workers could take the same cell or damage the file; put the database on a local disk, or use PostgreSQL"


def examined(path: Path) -> Finding:
    """A finding about the locks of the folder of a SQLite file, and of the file itself where there is one."""
    folder = path.absolute().parent
    kind = file_system(folder)
    where = f"{folder}{f' ({kind})' if kind else ''}"
    try:
        with tempfile.TemporaryDirectory(prefix=".kernbench-doctor-", dir=folder) as own:
            wrong = _tried(Path(own) / "locks.db")
    except (OSError, sqlite3.Error) as error:
        if _is_full(error):
            return Finding(CHECK, "skip", f"{where}: there is no room to try them")
        wrong = first_line(error)
    if wrong:
        return Finding(CHECK, "fail", f"{where}: {wrong}", _ADVICE)
    if path.exists() and (held := _held(path)):
        advice = f"a process holds its write lock; `fuser {path}` names it, and `kernbench status` shows the workers"
        return Finding(CHECK, "fail", f"{path}: {held} for {WAIT_S:.0f} s", advice)
    return Finding(CHECK, "ok", f"{where}: two processes exclude each other, also with a write-ahead log")


def _is_full(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _tried(path: Path) -> str:
    """What is wrong with the locks on a new database; empty if nothing is."""
    with closing(sqlite3.connect(address(path), uri=True, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE tried (number INTEGER)")
        if wrong := _excluding(connection, path):
            return wrong
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            return f"no write-ahead log (SQLite stays in mode {mode}): the file system shares no memory"
        return _excluding(connection, path)


def _excluding(connection: sqlite3.Connection, path: Path) -> str:
    """What is wrong while one process holds the write lock, and after; empty if nothing is."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO tried VALUES (1)")
    said = _other(path)
    connection.execute("COMMIT")
    if said == TAKEN:
        return "two processes had the write lock of one file"
    if said != LOCKED:
        return f"a second process met another error than a lock: {said}"
    if (said := _other(path)) != TAKEN:
        return f"the lock was given up, and a second process did not get it: {said}"
    return ""


def _other(path: Path) -> str:
    """What a second process says that tries to take the write lock."""
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, address(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    return done.stdout.strip() or done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"


def address(path: Path) -> str:
    """The file as SQLite's URI."""
    return path.absolute().as_uri()


def _held(path: Path) -> str:
    """What SQLite says where another process keeps the write lock of the database; empty where it can be had."""
    with closing(sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            return str(error)
    return ""
