"""Storage URLs: how they are found, shown without a password, and which folders are beside the database."""

import os
import re
import unicodedata
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from kernbench.errors import StorageError, one_line

DEFAULT_URL = "sqlite:///kernbench.db"

TABLES = "tables"  # in the place of a database, a folder of CSV files
DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
PASSWORDS = ("password", "sslpassword")  # that libpq takes behind the question mark, too


def resolve_url(url: str | None) -> str:
    """The storage URL: the one given, KERNBENCH_STORAGE, or `kernbench.db` in the working folder.

    Raises:
        StorageError: not a database URL, a database that is neither SQLite nor PostgreSQL, or braces in it.
    """
    chosen = url or os.environ.get("KERNBENCH_STORAGE") or DEFAULT_URL
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in chosen):  # also bytes that are no UTF-8
        raise StorageError("the storage URL holds a control character or bytes that are no UTF-8; rename the file")
    try:
        parsed = make_url(chosen)
    except (ArgumentError, ValueError) as error:
        masked = re.sub(r"(?<=password=)[^&]*", "***", re.sub(r"^([\w+]*://)?.*@", r"\1***@", chosen, flags=re.DOTALL))
        raise StorageError(
            f"storage {one_line(repr(masked), 300)} is not a database URL; expected sqlite:///file.db or postgresql+psycopg://user@host/name"
        ) from error
    _check_driver(parsed, chosen)
    if parsed.password is not None and "@" in f"{parsed.host}{parsed.database}":
        raise StorageError("the password in the storage URL holds an @, which would end it; write it as %40")
    if "{" in chosen or "}" in chosen:  # Optuna runs str.format on it
        raise StorageError(f"storage {shown_url(chosen)}: braces are not allowed in the URL")
    if parsed.get_backend_name() == "sqlite" and parsed.host:
        raise StorageError(
            f"storage {shown_url(chosen)}: {parsed.host!r} stands where a server would; write three slashes "
            f"before the path of a file, sqlite:///{'/'.join(filter(None, [parsed.host, parsed.database]))}"
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StorageError(f"storage {chosen}: expected a file, got a database in memory")
    if parsed.get_backend_name() == "sqlite" and (parsed.query or str(parsed.database).startswith("file:")):
        raise StorageError(f"storage {shown_url(chosen)}: expected the plain path of a file, sqlite:///folder/file.db")
    if (path := sqlite_path(chosen)) is not None:
        try:
            path.exists()
        except OSError as error:  # no file can have such a name
            raise StorageError(
                f"storage {one_line(shown_url(chosen), 300)} cannot be opened: {error.strerror}"
            ) from error
    return chosen


def resolve_source(source: str | None) -> str:
    """What results are read from: a database as `resolve_url` finds it, or a folder of exported tables, `tables:///path`.

    Args:
        source: a URL, or the path of a folder that `kernbench storage export` wrote.

    Raises:
        StorageError: neither.
    """
    if not source or "://" in source or "@" in source:  # what may hold a password is shown without it
        return resolve_url(source)
    if not Path(source).is_dir():
        text = f"storage {one_line(repr(source), 300)} is no folder that `kernbench storage export` wrote, nor a URL"
        raise StorageError(f"{text}; a database is written sqlite:///file.db or postgresql+psycopg://user@host/name")
    if odd := sorted(set(source) & set("?#%")):
        raise StorageError(f"{one_line(source)}: a folder whose name holds {' or '.join(odd)} has no URL; rename it")
    return f"{TABLES}:///{source}"


def tables_folder(url: str) -> Path | None:
    """Folder of exported tables of a URL from `resolve_source`, or None for a database."""
    parsed: URL = make_url(url)
    return Path(parsed.database) if parsed.drivername == TABLES and parsed.database else None


def _check_driver(parsed: URL, chosen: str) -> None:
    """Refuse databases and drivers that kernbench does not use, before anything is connected or imported."""
    driver, backend = parsed.drivername, parsed.get_backend_name()
    if driver in DRIVERS:
        return
    wanted = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}.get(backend)
    if wanted is None:
        raise StorageError(
            f"storage {shown_url(chosen)}: expected sqlite or postgresql, got {backend}; write sqlite:///file.db or "
            "postgresql+psycopg://user@host/name"
        )
    right = shown_url(parsed.set(drivername=wanted).render_as_string(hide_password=False))
    raise StorageError(f"storage {shown_url(chosen)}: expected driver {wanted}, got {driver}; write {right}")


def shown_url(url: str) -> str:
    """The URL without its passwords."""
    parsed = make_url(url)
    hidden = parsed.update_query_dict({name: "hidden" for name in parsed.query if name in PASSWORDS})
    return hidden.render_as_string(hide_password=True)


def holds_password(url: str) -> bool:
    """Whether there is a password in the URL."""
    parsed = make_url(url)
    return parsed.password is not None or any(name in PASSWORDS for name in parsed.query)


def sqlite_path(url: str) -> Path | None:
    """File of a SQLite URL, or None for a server."""
    parsed: URL = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def server_name(url: str) -> str:
    """A database on a server without user, password and options: "postgresql://host/name"."""
    parsed = make_url(url)
    place = f"{parsed.host or ''}:{parsed.port}" if parsed.port else parsed.host or ""
    return f"{parsed.get_backend_name()}://{place}/{parsed.database or ''}"


def side_folder(url: str, kind: str) -> Path:
    """Folder beside the database for "artifacts" or "checkpoints"; with a server, in the working folder."""
    path = sqlite_path(url)
    if path is None:
        return Path(f"kernbench.{kind}")
    # only .db is left out: results.v1 and results.v2 must not share a folder
    return path.with_name(f"{path.name.removesuffix('.db')}.{kind}")
