"""Commands that analyse the trained cells of a study: one for each entry of the catalogue."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kernbench.cli.names import FAMILIES, one_option, several_option
from kernbench.cli.options import PATH, only_option, storage_option
from kernbench.report.analyses.analysis import Analysis
from kernbench.report.analyses.catalogue import CELL_BY_CELL

if TYPE_CHECKING:
    from kernbench.report.analyses.analysis import Row, Rows
    from kernbench.store.reading.records import Run
    from kernbench.study.selection import Selection

MOST_SAID = 10  # lines about cells that are left out


def commands() -> list[click.Command]:
    """One for each analysis."""
    return [_command(analysis) for analysis in CELL_BY_CELL]


def _command(analysis: Analysis) -> click.Command:
    def run(study: str | None, weights: Path | None = None, data: str | None = None, **given: Any) -> None:
        # Any: values of the options below
        if weights is not None:
            _analyse_file(analysis, study, weights, data, **given)
            return
        if data is not None:
            raise click.UsageError("--data goes with --weights; cells have lines of their own")
        if study is None:
            raise click.UsageError("expected --study: the study in the database whose trained cells are analysed")
        _analyse(analysis, study, **given)

    options = [
        one_option("--study", help="k_sweep, or k_sweep.v1.quick/siren."),
        several_option("--plugin", "plugins", help=f"{FAMILIES} FILE.py:NAME for one from a local file."),
        only_option,
        click.option("--cell", help="The one cell with this name: kernel_size=65,seed=0."),
        one_option("--network", help="FILE.py:NAME of a network from a local file."),
        storage_option,
        click.option("--out", type=PATH, help="Folder for the tables and the figure, too."),
    ]
    if analysis.measure_file is not None:
        options += [
            click.option("--weights", type=PATH, help="In place of --study: a weights.pt, or published weights."),
            one_option("--data", help="Lines for --weights: digest or name of a data set, or a folder.  [of its cell]"),
        ]
    for option in reversed(options):
        run = option(run)
    tables = ", ".join(f"{name}.csv" for name in analysis.tables)
    kept = f"Rows are kept beside the artifacts of the database, where `report` finds them; --out gets {tables}."
    return click.command(analysis.name, help=f"{analysis.summary}\n\n{kept}", short_help=analysis.summary)(run)


def _analyse(
    analysis: Analysis,
    study: str,
    plugins: Sequence[str],
    only: "Selection",
    cell: str | None,
    network: str | None,
    storage: str | None,
    out: Path | None,
) -> None:
    from kernbench.cli.terminal.bars import bar, one_line
    from kernbench.errors import DataError, KernbenchError, counted
    from kernbench.host.device import choose_device
    from kernbench.report.analyses import stored
    from kernbench.report.analyses.trained_cells import trained_cells
    from kernbench.store.database.url import resolve_url
    from kernbench.store.files.artifact_entries import ANALYSES

    url = resolve_url(storage)
    runs = _runs(url, study, plugins, only, cell)
    if out is not None:
        _check_out(out)
    choose_device("cpu")  # sets the threads
    files = [name for name in plugins if ".py" in name]
    said: list[str] = []
    found: dict[str, list[Row]] = {table: [] for table in analysis.tables}
    analysed = 0
    with bar(f"analyze {analysis.name}", one_line) as progress:
        for each in trained_cells(runs, said.append, files[0] if files else None, network):
            beginning = stored.cell_columns(each.run)
            try:
                measured = analysis.measure(each)
            except KernbenchError as error:
                said.append(f"{each.run.study} {each.run.cell} is left out: {error}")
                continue
            for table, rows in measured.items():
                found[table] += [{**beginning, **row} for row in rows]
            analysed += 1
            progress(analysed, len(runs))
    _say(said)
    if not analysed:
        raise DataError(f"--study {study}: no trained cell can be analysed; `kernbench status` says how far it is")
    folder = stored.folder_beside(next(run for run in runs if run.artifacts))
    assert folder is not None
    stored.store(analysis, folder, found)
    _print(analysis, found, counted(analysed, "cell"))
    click.echo(f"results: {folder / ANALYSES}; `kernbench report` shows them")
    if out is not None:
        _write(analysis, found, out)


def _analyse_file(
    analysis: Analysis,
    study: str | None,
    weights: Path,
    data: str | None,
    plugins: Sequence[str],
    only: "Selection",
    cell: str | None,
    network: str | None,
    storage: str | None,
    out: Path | None,
) -> None:
    """One network from a file: printed and written to --out, kept in no database."""
    from kernbench.host.device import choose_device
    from kernbench.report.analyses.analysis import CELL_COLUMNS
    from kernbench.ulm.data.find import find_set
    from kernbench.ulm.evaluation.lines_of_cell import lines_of_cell
    from kernbench.ulm.evaluation.trained import load_trained

    if study is not None or only or cell is not None or storage is not None or len(plugins) > 1:
        raise click.UsageError("--weights excludes --study, --only, --cell and --storage, and takes one --plugin")
    if out is not None:
        _check_out(out)
    choose_device("cpu")  # sets the threads
    trained = load_trained(weights, plugins[0] if plugins else None, network)
    if data is None and not trained.facts:
        raise click.UsageError(f"{weights} is a published network: expected --data, lines to measure it on")
    lines = (lines_of_cell(trained, "test") if data is None else find_set(data)).load("test")
    assert analysis.measure_file is not None
    family = trained.facts.get("family", {}).get("name", "published")
    plan = trained.facts.get("network", {})
    known = (
        trained.facts.get("study", ""),
        trained.facts.get("cell", weights.name),
        family,
        plan.get("kernel_size"),
        None,
        "",
    )
    beginning = dict(zip(CELL_COLUMNS, known, strict=True))
    measured = analysis.measure_file(trained, lines).items()
    found = {table: [{**beginning, **row} for row in rows] for table, rows in measured}
    _print(analysis, found, "1 network")
    if out is not None:
        _write(analysis, found, out)


def _runs(url: str, study: str, plugins: Sequence[str], only: "Selection", cell: str | None) -> "list[Run]":
    """The scored cells that are meant."""
    from kernbench.cli.names import family_names
    from kernbench.errors import DataError, close_match
    from kernbench.store.reading.records import OK
    from kernbench.store.reading.several import load_several

    if len([name for name in plugins if ".py" in name]) > 1:
        raise click.UsageError("--plugin: expected one FILE.py:NAME, got several; give the command once for each")
    runs = [run for run in load_several([url], [study], [], family_names(plugins), only) if run.status == OK]
    if cell is not None:
        known = sorted({run.cell for run in runs})
        runs = [run for run in runs if run.cell == cell]
        if not runs:
            hint = close_match(cell, known) or f"; trained: {'; '.join(known[:MOST_SAID]) or 'none'}"
            raise DataError(f"--study {study}: no trained cell {cell!r}{hint}")
    if not runs:
        meant = f" with {only.text}" if only else ""
        raise DataError(f"--study {study}: no trained cell{meant}; `kernbench status` says how far it is")
    return runs


def _check_out(folder: Path) -> None:
    """Refuse what cannot be written or drawn before minutes are spent on it."""
    from kernbench.errors import KernbenchError
    from kernbench.host.cache_folder import check_writable
    from kernbench.plotting.loading import check_matplotlib

    check_writable(folder, KernbenchError, "let --out be a folder that can")
    check_matplotlib()


def _say(lines: Sequence[str]) -> None:
    for line in lines[:MOST_SAID]:
        click.echo(f"kernbench: {line}", err=True)
    if len(lines) > MOST_SAID:
        click.echo(f"kernbench: and {len(lines) - MOST_SAID} more lines of this kind", err=True)


def _print(analysis: Analysis, found: "Rows", cells: str) -> None:
    from kernbench.cli.terminal.console import print_table
    from kernbench.report.analyses.by_layer import kept_apart

    for table in analysis.show(kept_apart(found)):
        print_table(f"{table.caption} {cells}.", table.columns, table.rows, left=table.left)


def _write(analysis: Analysis, found: "Rows", out: Path) -> None:
    from kernbench.plotting.style import save
    from kernbench.report.analyses import stored
    from kernbench.report.analyses.analysis import CELL_COLUMNS
    from kernbench.report.analyses.by_layer import kept_apart

    files = []
    for table, columns in analysis.tables.items():
        files.append(out / f"{table}.csv")
        stored.write_rows(files[-1], [*CELL_COLUMNS, *columns], found[table])
    figure = analysis.draw(kept_apart(found))
    files += [] if figure is None else save(figure, out / analysis.name)
    click.echo(f"written: {', '.join(map(str, files))}")
