"""`kernbench storage`: copy studies to another database, verify one, upgrade its tables."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli.names import FAMILIES, STUDIES, several_option
from kernbench.cli.options import PATH, only_option, storage_option

if TYPE_CHECKING:
    from kernbench.study.selection import Selection


@click.group(name="storage")
def storage_command() -> None:
    """Copy studies from one database to another, verify databases and their files, upgrade older ones."""


@storage_command.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@several_option("--study", "names", help=STUDIES)
def copy(source: str, target: str, names: tuple[str, ...]) -> None:
    """Copy studies with all their records and files from the database FROM to TO, both URLs.

    All of them are copied or, if anything fails, none. Workers on FROM must have ended; a cell whose worker ended
    without a report is queued again in TO. FROM is not changed.
    """
    from kernbench.errors import counted
    from kernbench.store.database.url import resolve_url, shown_url
    from kernbench.store.maintenance.copying import copy_studies

    copied = copy_studies(resolve_url(source), resolve_url(target), names, lambda line: click.echo(line, err=True))
    counts = f"{_studies(len(copied.studies))}, {counted(copied.trials, 'trial')}, {counted(copied.files, 'file')}"
    click.echo(f"copied to {shown_url(resolve_url(target))}: {counts}")


@storage_command.command()
@several_option("--study", "names", help=STUDIES)
@storage_option
def check(names: tuple[str, ...], storage: str | None) -> int:
    """Verify a database and its files: one line for each problem, exit code 1 if there is any. Changes nothing.

    Finds damage, missing or surplus records, and artifacts and checkpoints that are missing, left over, damaged or of
    another type. Files that no study names are reported without --study only.
    """
    from kernbench.errors import counted
    from kernbench.store.database.url import resolve_url, shown_url
    from kernbench.store.maintenance.checking import check_storage

    url = resolve_url(storage)
    checked = check_storage(url, names)
    for problem in checked.problems:
        click.echo(problem)
    found = counted(len(checked.problems), "problem") if checked.problems else "no problem found"
    about = f"{_studies(checked.studies)}, {counted(checked.cells, 'cell')}, {counted(checked.files, 'file')}"
    click.echo(f"{shown_url(url)}: {about}{_tables(checked.schema)}: {found}")
    return 1 if checked.problems else 0


@storage_command.command()
@several_option("--study", "names", help=STUDIES)
@several_option("--plugin", "plugins", help=FAMILIES)
@only_option
@click.option("--storage", "storages", multiple=True, help="Database URL or exported folder; repeatable.")
@click.option("--out", type=PATH, required=True, help="Folder to write to; files of the same names are replaced.")
@click.option("--headline", is_flag=True, help="Only at the tolerance of the study: a tenth of the size.")
def export(
    names: tuple[str, ...],
    plugins: tuple[str, ...],
    only: "Selection",
    storages: tuple[str, ...],
    out: Path,
    headline: bool,
) -> None:
    """Write cells with their scores as a folder of CSV files, which `report --storage FOLDER` and Python read.

    Every cell that ended, and of its test lines hits, misses and false detections at every tolerance, with which every
    interval and verdict can be computed again. Weights and pictures stay in the artifacts. A folder that was exported
    before may be one of the storages, also the one written to: so cells of later runs join it.
    """
    from kernbench.cli.names import family_names
    from kernbench.errors import counted
    from kernbench.store.database.url import resolve_source
    from kernbench.store.maintenance.exporting import export_tables, once
    from kernbench.store.reading.several import distinct, load_several

    urls = distinct([resolve_source(storage) for storage in storages or (None,)])
    runs = once(load_several(urls, names, [] if headline else ["test"], family_names(plugins), only))
    files = export_tables(runs, out)
    size = sum(path.stat().st_size for path in files) / 1e6
    click.echo(f"exported to {out}: {counted(len(runs), 'cell')}, {counted(len(files), 'file')}, {size:,.1f} MB")


def _studies(number: int) -> str:
    return "1 study" if number == 1 else f"{number} studies"


def _tables(version: int | None) -> str:
    from kernbench.store.database.schema import SCHEMA_VERSION

    if version is None:
        return ""
    later = f" (`kernbench storage upgrade` or the next run makes it {SCHEMA_VERSION})"
    return f", result tables of version {version}{later if version < SCHEMA_VERSION else ''}"


@storage_command.command()
@storage_option
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
def upgrade(storage: str | None, dry_run: bool) -> None:
    """Upgrade the result tables of a database that an older kernbench has made.

    A SQLite file is copied first, and the copy is kept beside it; on a server all is one transaction. If anything
    fails, the database is unchanged. `kernbench run` and `kernbench worker` do the same before they write.
    """
    from kernbench.store.database.url import resolve_url
    from kernbench.store.maintenance.upgrade import upgrade_storage

    click.echo(upgrade_storage(resolve_url(storage), dry_run=dry_run))
