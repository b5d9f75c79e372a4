"""Cells of several databases: each database once, and each cell with the name of its own."""

import dataclasses
import warnings
from collections.abc import Collection, Sequence

from sqlalchemy import make_url

from kernbench.errors import KernbenchWarning
from kernbench.store.database.url import shown_url, sqlite_path
from kernbench.store.reading.records import Run
from kernbench.store.reading.runs import check_stored, load_runs, matches, stored_names

POSTGRES_PORT = 5432


def distinct(urls: Sequence[str]) -> list[str]:
    """The URLs, without those of a database that was named before, whatever path or user they name it with."""
    found: dict[tuple[object, ...], str] = {}
    for url in urls:
        found.setdefault(_identity(url), url)
    return list(found.values())


def _identity(url: str) -> tuple[object, ...]:
    path, parsed = sqlite_path(url), make_url(url)
    if path is not None:
        return (path.resolve(),)
    return parsed.host, parsed.port or POSTGRES_PORT, parsed.database


def database_names(urls: Sequence[str]) -> list[str]:
    """What to call each of several databases: its file or its database on the server; all of the URL where two agree.

    Args:
        urls: from `distinct`.
    """
    short = [_short(url) for url in urls]
    return [
        name if short.count(name) == 1 else str(sqlite_path(url) or shown_url(url))
        for name, url in zip(short, urls, strict=True)
    ]


def _short(url: str) -> str:
    path = sqlite_path(url)
    return path.name if path is not None else str(make_url(url).database or shown_url(url))


def load_several(urls: Sequence[str], names: Sequence[str] = (), whole: Collection[str] | None = None) -> list[Run]:
    """Every cell of these databases that ended; of several databases, each cell says which one it is from.

    Args:
        urls: from `distinct`, at least one.
        names: studies, as for `load_runs`; each must be in one of the databases.
        whole: as for `load_runs`.

    Raises:
        StorageError: one of the databases is not there, or a record is damaged.
        StudyError: a name that no database holds.
    """
    if len(urls) == 1:
        return load_runs(urls[0], names, whole)
    wanted = _names_of_each(urls, names)
    runs: list[Run] = []
    for url, name in zip(urls, database_names(urls), strict=True):
        found = load_runs(url, wanted[url], whole) if wanted[url] or not names else []
        if not found:
            warnings.warn(f"{name} has no finished or failed cell for this report", KernbenchWarning, stacklevel=2)
        runs += [dataclasses.replace(run, database=name) for run in found]
    return runs


def _names_of_each(urls: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """Of these names, those that each database holds."""
    stored = {url: stored_names(url) for url in urls}
    for name in names:
        check_stored(name, set().union(*stored.values()), " or ".join(map(shown_url, urls)))
    return {
        url: [name for name in names if any(matches(each, name) for each in there)] for url, there in stored.items()
    }
