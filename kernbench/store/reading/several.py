"""Cells of several databases: each database once, and each cell with the name of its own."""

import dataclasses
import warnings
from collections.abc import Collection, Sequence

from sqlalchemy import make_url

from kernbench.errors import KernbenchWarning
from kernbench.store.database.url import shown_url, sqlite_path
from kernbench.store.reading.naming import check_family, check_stored, family_of, matches
from kernbench.store.reading.records import Run
from kernbench.store.reading.runs import asked_cells, load_runs, stored_names, stored_studies
from kernbench.store.tables.optuna_tables import close
from kernbench.study.selection import ALL, Selection

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


def load_several(
    urls: Sequence[str],
    names: Sequence[str] = (),
    whole: Collection[str] | None = None,
    families: Sequence[str] = (),
    only: Selection = ALL,
) -> list[Run]:
    """Every cell of these databases that ended; of several databases, each cell says which one it is from.

    Args:
        urls: from `distinct`, at least one.
        names: studies, as for `load_runs`; each must be in one of the databases.
        whole: as for `load_runs`.
        families: as for `load_runs`; each must be in one of the databases.
        only: as for `load_runs`; it must mean a cell of one of the databases.

    Raises:
        StorageError: one of the databases is not there, or a record is damaged.
        StudyError: a name, a family or a cell that no database holds.
    """
    wanted = _names_of_each(urls, names, families)
    if only:
        chosen = [study for url in urls if wanted[url] for study in stored_studies(url, wanted[url])]
        only.check([cell for study in chosen for cell in asked_cells(study)])
        for study in chosen:
            close(study)
    if len(urls) == 1:
        return load_runs(urls[0], wanted[urls[0]], whole, only=only)
    runs: list[Run] = []
    for url, name in zip(urls, database_names(urls), strict=True):
        found = load_runs(url, wanted[url], whole, only=only) if wanted[url] else []
        if not found:
            warnings.warn(f"{name} has no finished or failed cell for this report", KernbenchWarning, stacklevel=2)
        runs += [dataclasses.replace(run, database=name) for run in found]
    return runs


def _names_of_each(urls: Sequence[str], names: Sequence[str], families: Sequence[str]) -> dict[str, list[str]]:
    """Studies of each database that have one of these names and families."""
    stored = {url: stored_names(url) for url in urls}
    every, where = set().union(*stored.values()), " or ".join(map(shown_url, urls))
    for name in names:
        check_stored(name, every, where)
    named = {each for each in every if not names or any(matches(each, name) for name in names)}
    for family in families:
        check_family(family, named, where)
    chosen = {each for each in named if not families or family_of(each) in families}
    return {url: sorted(there & chosen) for url, there in stored.items()}
