"""`kernbench baselines`: classical detectors on the lines of a study or of any data set."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kernbench.engine.study import Study
    from kernbench.ulm.baselines.catalogue import Task
    from kernbench.ulm.baselines.results import Row

FILE = "baselines.csv"


@click.command()
@click.option("--study", "study_name", default="k_sweep", help="Study: its lines, training, splits.", show_default=True)
@click.option("--profile", help="Scale; quick without a CUDA device, else thesis.")
@click.option("--data", help="Other lines: imported set, digest of simulated lines, or folder with a manifest.")
@click.option("--noise", type=click.FloatRange(0, 1000), help="Nominal percent of 9.65 a.u.  [the study's]")
@click.option("--methods", default="", help="Comma-separated names.  [all that fit the lines]")
@click.option("--device", default="auto", help="auto, cpu or cuda[:i].", show_default=True)
@click.option("--storage", help="Database URL [KERNBENCH_STORAGE, else sqlite:///kernbench.db].")
@click.option("--out", type=click.Path(path_type=Path), help=f"Folder for the results as {FILE}, too.")
def baselines_command(
    study_name: str,
    profile: str | None,
    data: str | None,
    noise: float | None,
    methods: str,
    device: str,
    storage: str | None,
    out: Path | None,
) -> None:
    """Fit and score detectors that are no networks, blind ones included.

    Methods: random, comb, envelope, matched-filter, wiener, fista-single, fista-bank, fista-per-line, fir-257,
    fir-1025, fir-4097.

    Delay, settings, thresholds and decoder are fitted on the study's threshold split and frozen. Results stay in the
    artifacts of the storage, where reports on studies of the same lines and noise find them.
    """
    from kernbench import experiment
    from kernbench.device import choose_device, default_profile
    from kernbench.engine.storage import resolve_url, side_folder
    from kernbench.registry import find_family
    from kernbench.ulm.baselines.catalogue import check_methods
    from kernbench.ulm.baselines.results import results_path, write_rows

    where, url = choose_device(device), resolve_url(storage)
    study = experiment.load(study_name, find_family("discrete"), profile or default_profile(where))
    level = float(study.definition["data"]["noise_percent"]) if noise is None else noise
    given = [name.strip() for name in methods.split(",") if name.strip()]
    check_methods(given, 1 << 30)  # a misspelt name before anything is simulated
    experiment.check_places(url, out)
    digest, task = _task(study, data, level, where)
    path = results_path(side_folder(url, "artifacts"), digest, level)
    rows = _run(check_methods(given, task.length), task, path)
    print_rows(rows, f"data {digest}, noise {level:g} %")
    if out is not None:
        write_rows(rows, out / FILE)
    click.echo(f"results: {path}" + (f" and {out / FILE}" if out else ""))


def _task(study: "Study", data: str | None, noise: float, device: str) -> tuple[str, "Task"]:
    """Digest of the lines, and the task on them."""
    from kernbench import experiment
    from kernbench.cli import console
    from kernbench.evaluation import Workbench
    from kernbench.training import Settings
    from kernbench.ulm.baselines.catalogue import TEST, Task
    from kernbench.ulm.dataset import load_split
    from kernbench.ulm.sets import find_set

    recipe, threshold_split = experiment.recipe_of(study.definition), study.definition["evaluation"]["threshold_split"]
    if data is None:
        with console.observer(study) as observer:
            experiment.prepare(study, device, observer.simulated)
        digest = experiment.data_digest(study.definition)
        recipes = {split: experiment.recipe_of(study.definition, split) for split in experiment.SPLITS}
        splits = {split: load_split(each, split) for split, each in recipes.items()}
    else:
        found = find_set(data)
        wanted = {*found.splits, threshold_split, TEST}  # a missing one is named by `load`
        digest, splits = found.digest, {split: found.load(split) for split in sorted(wanted)}
    return digest, Task(
        bench=Workbench(splits, noise, recipe.seed, device),
        threshold_split=threshold_split,
        settings=Settings(**study.definition["training"]),
        seed=recipe.seed,
        transmit_response=recipe.transmit_response,
        receive_response=recipe.receive_response,
    )


def _run(names: Sequence[str], task: "Task", path: Path) -> list["Row"]:
    """Run methods one after the other; each is stored when it is done, in place of its earlier results."""
    from kernbench.ulm.baselines.catalogue import run_method
    from kernbench.ulm.baselines.results import read_rows, replaced, write_rows

    rows: list[Row] = []
    for name in names:
        with _progress(name) as progress:
            found = run_method(name, task, progress)
        rows += found
        write_rows(replaced(read_rows(path) if path.exists() else [], found), path)
    return rows


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, one line in a log."""
    from rich.console import Console
    from rich.progress import Progress

    stderr = Console(stderr=True)
    if not stderr.is_terminal:
        click.echo(f"  {name}", err=True)
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


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
