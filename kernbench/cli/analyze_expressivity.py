"""`kernbench analyze expressivity`: families fitted to trained free taps; a long run, kept as it goes on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli.names import one_option, several_option
from kernbench.cli.options import PATH, only_option, storage_option

if TYPE_CHECKING:
    from kernbench.kernels.family import KernelFamily
    from kernbench.report.analyses.analysis import Row
    from kernbench.report.analyses.trained_cells import TrainedCell
    from kernbench.store.reading.records import Run
    from kernbench.study.selection import Selection


@click.command("expressivity")
@one_option("--study", help="Study with trained cells of discrete: k_sweep, or k_sweep.v1.quick.")
@several_option("--plugin", "plugins", help="Family to fit; several by repetition or with commas.  [all installed]")
@only_option
@click.option("--cell", help="The one cell with this name: kernel_size=65,seed=0.")
@click.option("--epochs", type=click.IntRange(0), default=10, help="Of further training.", show_default=True)
@storage_option
@click.option("--out", type=PATH, help="Folder for table and figure, too.")
def expressivity_command(
    study: str | None,
    plugins: tuple[str, ...],
    only: "Selection",
    cell: str | None,
    epochs: int,
    storage: str | None,
    out: Path | None,
) -> None:
    """Fit other families to the trained kernels of discrete, and score them with and without further training.

    What a family could represent, against what training found. Every family gets as many parameters as there are free
    taps, within 2 %, else the most that are fewer; the kernels of each layer are fitted by least squares and Adam, put
    into the network of the cell, and scored with thresholds chosen anew. Rows are kept as they come: the same command
    goes on where it was stopped, and does nothing twice.
    """
    if study is None:
        raise click.UsageError("expected --study: the study in the database with trained cells of discrete")
    from kernbench.cli.analyze_cells import MOST_SAID, _check_out, _print, _runs, _say, _write
    from kernbench.errors import DataError, counted
    from kernbench.host.device import choose_device
    from kernbench.report.analyses.expressivity import FREE, check_plain
    from kernbench.report.analyses.expressivity_shown import EXPRESSIVITY, NAME
    from kernbench.report.analyses.stored import stored
    from kernbench.report.analyses.trained_cells import trained_cells
    from kernbench.store.database.url import resolve_url

    families = _families(plugins)
    url = resolve_url(storage)
    everything = _runs(url, study, (), only, None)
    chosen = [run for run in everything if run.family == FREE]
    if cell is not None:
        chosen = [run for run in chosen if run.cell == cell]
    if not chosen:
        known = "; ".join(sorted({run.cell for run in everything if run.family == FREE})[:MOST_SAID]) or "none"
        named = f" named {cell!r}" if cell else ""
        raise DataError(f"--study {study}: no trained cell of {FREE}{named}; there: {known}")
    if out is not None:
        _check_out(out)
    choose_device("cpu")  # sets the threads
    said: list[str] = []
    for each in trained_cells(chosen, said.append):
        check_plain(each)
        _one_cell(each, families, everything, epochs)
    _say(said)
    found = stored(EXPRESSIVITY, chosen)
    wanted = {family.name for family in families}
    found = {NAME: [row for row in found[NAME] if row["fitted"] in wanted and row["epochs"] == epochs]}
    _print(EXPRESSIVITY, found, counted(len(chosen), "cell"))
    if out is not None:
        _write(EXPRESSIVITY, found, out)


def _one_cell(cell: "TrainedCell", families: "Sequence[KernelFamily]", others: "Sequence[Run]", epochs: int) -> None:
    """The families that have no row yet; each row is kept before the next family."""
    from kernbench.report.analyses.expressivity import fitted_rows
    from kernbench.report.analyses.expressivity_shown import EXPRESSIVITY, NAME
    from kernbench.report.analyses.stored import cell_columns, folder_beside, store, stored
    from kernbench.ulm.cells.bench_of_cell import bench_of_cell

    rows: list[Row] = list(stored(EXPRESSIVITY, [cell.run])[NAME])
    done = {row["fitted"] for row in rows if row["epochs"] == epochs}
    missing = [family for family in families if family.name not in done]
    if not missing:
        return
    folder = folder_beside(cell.run)
    assert folder is not None  # its weights are there
    bench = bench_of_cell(cell.run.definition, cell.run.params, "cpu")
    for row in fitted_rows(cell, missing, others, bench, epochs):
        rows.append({**cell_columns(cell.run), **row})
        store(EXPRESSIVITY, folder, {NAME: rows})
        click.echo(_line(cell.run, row))


def _line(run: "Run", row: "Row") -> str:
    place = f"{run.study} {run.cell}: {row['fitted']}"
    if row.get("reason"):
        return f"{place} cannot be fitted: {row['reason']}"
    tuned = row.get("f1_tuned")
    after = f", {tuned:.3f} after further training" if isinstance(tuned, float) else ""
    return f"{place}  error {row['error']:.3f}  F1 {row['f1_fitted']:.3f}{after}; free taps {row['f1_free']:.3f}"


def _families(plugins: Sequence[str]) -> "list[KernelFamily]":
    from kernbench.registry import find_family, installed

    names = plugins or sorted(installed().found)
    return list({family.name: family for family in map(find_family, names)}.values())
