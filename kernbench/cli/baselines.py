"""`kernbench baselines`: classical detectors on the lines of a study or of any data set."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli.bars import Progress, bar, one_line

if TYPE_CHECKING:
    from kernbench.engine.study import Study
    from kernbench.ulm.baselines.results import Domain, Row
    from kernbench.ulm.dataset import Split

FILE = "baselines.csv"


@click.command()
@click.option("--study", "study_name", default="k_sweep", help="Study: its lines, training, splits.", show_default=True)
@click.option("--plugin", default="discrete", help="Family that the study is read for.", show_default=True)
@click.option("--profile", help="Scale; quick without a CUDA device, else thesis.")
@click.option("--data", help="Other lines: imported set, digest of simulated lines, or folder with a manifest.")
@click.option("--noise", type=click.FloatRange(0, 1000), help="Nominal percent of 9.65 a.u.  [the study's]")
@click.option("--methods", default="", help="Comma-separated names.  [all that fit the lines]")
@click.option("--device", default="auto", help="auto, cpu or cuda[:i].", show_default=True)
@click.option("--storage", help="Database URL [KERNBENCH_STORAGE, else sqlite:///kernbench.db].")
@click.option("--out", type=click.Path(path_type=Path), help=f"Folder for the results as {FILE}, too.")
def baselines_command(
    study_name: str,
    plugin: str,
    profile: str | None,
    data: str | None,
    noise: float | None,
    methods: str,
    device: str,
    storage: str | None,
    out: Path | None,
) -> None:
    """Fit and score detectors that are no networks, blind ones included.

    Methods: random, comb, envelope, matched-filter, wiener, fista-single, fista-bank, fista-per-line, omp, fir-257,
    fir-1025, fir-4097.

    Delay, settings, thresholds and decoder are fitted on the study's threshold split and frozen. Results stay in the
    artifacts of the storage, where reports on studies of the same lines and noise find them. Where noise is an axis of
    the study, each level has its own.
    """
    from kernbench import classical, experiment
    from kernbench.engine.storage import resolve_url, side_folder
    from kernbench.host.device import choose_device, default_profile
    from kernbench.registry import find
    from kernbench.room import check_places
    from kernbench.ulm.baselines.catalogue import check_methods
    from kernbench.ulm.baselines.results import write_rows

    where, url = choose_device(device), resolve_url(storage)
    study = experiment.load(study_name, find(plugin).family, profile or default_profile(where))
    given = [name.strip() for name in methods.split(",") if name.strip()]
    check_methods(given, 1 << 30)  # a misspelt name before anything is simulated
    check_places(url, out)
    digest, splits = _lines(study, data, where)
    wanted = classical.domains(study, digest, noise)
    several = sum(map(len, wanted.values())) > 1
    for same in wanted.values():
        bench = classical.bench(study, splits, same, side_folder(url, "artifacts"), where)
        rows_of_each = bench.run(check_methods(given, bench.task.length), working)
        for domain, path, rows in zip(same, bench.paths, rows_of_each, strict=True):
            print_rows(rows, f"data {digest}, {noise_text(domain)}")
            copy = None if out is None else out / (path.name if several else FILE)
            if copy is not None:
                write_rows(rows, copy)
            click.echo(f"results: {path}" + (f" and {copy}" if copy else ""))


def noise_text(domain: "Domain") -> str:
    """Noise of the lines in words."""
    here = f"noise {domain.noise_percent:g} %"
    own = domain.test_noise_percent
    return here if own == domain.noise_percent else f"{here}, of the test lines {own:g} %"


def _lines(study: "Study", data: str | None, device: str) -> "tuple[str, Mapping[str, Split]]":
    """Digest of the lines, and the lines themselves: the study's own, or those of a named data set."""
    from kernbench import classical, experiment
    from kernbench.cli import console
    from kernbench.ulm.baselines.catalogue import TEST
    from kernbench.ulm.sets import find_set

    if data is None:
        with console.observer(study) as observer:
            experiment.prepare(study, device, observer.simulated)
        return experiment.data_digest(study.definition), classical.study_splits(study)
    found = find_set(data)
    wanted = {*found.splits, study.definition["evaluation"]["threshold_split"], TEST}  # `load` names a missing one
    return found.digest, {split: found.load(split) for split in sorted(wanted)}


def working(name: str) -> AbstractContextManager[Progress]:
    """Progress of one detector: a bar on a terminal, one line in a log."""
    return bar(f"classical detector: {name}", one_line)


def print_rows(rows: Sequence["Row"], title: str) -> None:
    """Results at the headline tolerance, and mean F1 at all tolerances."""
    from rich.table import Table
    from rich.text import Text

    from kernbench.cli import console
    from kernbench.ulm.protocol import HEADLINE_TOLERANCE, TOLERANCES
    from kernbench.ulm.scores import tolerance_um

    where = f"{title}: {rows[0].lines} test lines, tolerance {HEADLINE_TOLERANCE} samples"
    caption = "Precision, recall and RMSE (samples, and µm of two-way depth) belong to the one-to-one metric."
    table = Table(title=Text(where), title_justify="left", caption=caption, caption_justify="left")
    table.add_column("method", no_wrap=True)
    for name in ("F1", "one-to-one F1", "precision", "recall", "RMSE", "µm", "delay", "width", "fit", "a line"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("setting", overflow="fold")
    for row in (row for row in rows if row.tolerance_samples == HEADLINE_TOLERANCE):
        numbers = (row.f1, row.matched_f1, row.matched_precision, row.matched_recall)
        table.add_row(
            row.method,
            *(f"{number:.3f}" for number in numbers),
            f"{row.rmse_samples:.2f}",
            f"{float(tolerance_um(row.rmse_samples)):.1f}",
            str(row.delay_samples),
            f"{row.width_samples:g}".replace("nan", ""),
            f"{row.fit_seconds:.0f} s",
            f"{row.line_ms:.1f} ms",
            Text(row.setting),
        )
    console.stdout().print(table)
    by_method: dict[str, list[Row]] = {}
    for row in rows:
        by_method.setdefault(row.method, []).append(row)
    sweep = Table(title=Text("F1, and one-to-one F1 below it, by tolerance [samples]"), title_justify="left")
    for head in ("method", *map(str, TOLERANCES)):
        sweep.add_column(head, justify="left" if head == "method" else "right")
    for name, members in by_method.items():
        sweep.add_row(name, *(f"{row.f1:.3f}" for row in members))
        sweep.add_row("", *(f"{row.matched_f1:.3f}" for row in members), style="dim", end_section=True)
    console.stdout().print(sweep)
