"""Cells of several databases or folders of tables: each of them once, and each cell with the name of its own."""

import collections
import dataclasses
import warnings
from collections.abc import Collection, Sequence

from sqlalchemy import make_url

from kernbench.errors import KernbenchWarning
from kernbench.store.database.url import shown_url, sqlite_path, tables_folder
from kernbench.store.reading.exported import read_tables
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
    path, parsed = sqlite_path(url) or tables_folder(url), make_url(url)
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
    path = sqlite_path(url) or tables_folder(url)
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
        only.check([cell for url in urls if wanted[url] for cell in _cells(url, wanted[url])])
    if len(urls) == 1:
        return _load(urls[0], wanted[urls[0]], whole, only)
    runs: list[Run] = []
    for url, name in zip(urls, database_names(urls), strict=True):
        found = _load(url, wanted[url], whole, only) if wanted[url] else []
        if not found:
            warnings.warn(f"{name} has no finished or failed cell for this report", KernbenchWarning, stacklevel=2)
        runs += [dataclasses.replace(run, database=name) for run in found]
    return runs


def _names(url: str) -> set[str]:
    folder = tables_folder(url)
    return stored_names(url) if folder is None else {run.study for run in read_tables(folder)}


def _cells(url: str, studies: Sequence[str]) -> list[str]:
    """Cells of these studies that were ever asked for."""
    folder = tables_folder(url)
    if folder is not None:
        return [run.cell for run in read_tables(folder) if run.study in studies]
    chosen = stored_studies(url, studies)
    cells = [cell for study in chosen for cell in asked_cells(study)]
    for study in chosen:
        close(study)
    return cells


def _load(url: str, studies: Sequence[str], whole: Collection[str] | None, only: Selection) -> list[Run]:
    """Records of these studies; exported tables have the tolerances that they have."""
    folder = tables_folder(url)
    if folder is None:
        return load_runs(url, studies, whole, only=only)
    meant = [run for run in read_tables(folder) if run.study in studies and run.cell in only]
    counts = collections.Counter(run.study for run in meant)
    return [dataclasses.replace(run, asked=counts[run.study], selected=only.text) for run in meant]


def _names_of_each(urls: Sequence[str], names: Sequence[str], families: Sequence[str]) -> dict[str, list[str]]:
    """Studies of each database that have one of these names and families."""
    stored = {url: _names(url) for url in urls}
    every, where = set().union(*stored.values()), " or ".join(map(shown_url, urls))
    for name in names:
        check_stored(name, every, where)
    named = {each for each in every if not names or any(matches(each, name) for name in names)}
    for family in families:
        check_family(family, named, where)
    chosen = {each for each in named if not families or family_of(each) in families}
    return {url: sorted(there & chosen) for url, there in stored.items()}
