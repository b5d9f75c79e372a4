"""`kernbench data`: simulate, import and export lines, and show what the cache holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kernbench.cli import completing
from kernbench.cli.names import STUDIES, one_option, several_option
from kernbench.cli.options import device_option, only_option, profile_option, storage_option
from kernbench.cli.terminal.bars import bar, now_and_then
from kernbench.errors import counted

if TYPE_CHECKING:
    from kernbench.study.selection import Selection
    from kernbench.ulm.evaluation.trained import Trained


@click.group(name="data")
def data_command() -> None:
    """Simulate, import and export data sets, and show the cache."""


@data_command.command()
@one_option("--study", "study_name", default="k_sweep", help="Study whose lines to make.")
@profile_option
@device_option
def simulate(study_name: str, profile: str | None, device: str) -> None:
    """Simulate the training, validation and test lines of a study, so that runs find them in the cache."""
    from kernbench.cli.terminal import console
    from kernbench.host.device import choose_device, default_profile
    from kernbench.registry import find_family
    from kernbench.study.task import load, task
    from kernbench.ulm.cells.definition import line_points, recipe_of
    from kernbench.ulm.data.recipe import cache_folder

    where = choose_device(device)
    study = load(study_name, find_family("discrete"), profile or default_profile(where))
    with console.observer(study) as observer:
        task().prepare(study, where, observer.simulated)
    for params in line_points(study):
        recipe = recipe_of(study.definition, "train", params)
        named = "".join(f"{name} {value}, " for name, value in params.items())
        click.echo(f"data {recipe.digest()}: {named}{_lines_text(recipe.lines)}, in {cache_folder()}")


@data_command.command()
@storage_option
def info(storage: str | None) -> None:
    """Data sets in the cache: recipe, lines, size, whether the files are intact, and which studies use them."""
    from kernbench.cli.terminal import console
    from kernbench.cli.terminal.data_sets import uses

    console.print_cache(uses(storage))
    _print_imported()


@data_command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--train", help="First and last number in the file name, such as 1-1024.")
@click.option("--validation", help="The same for the validation lines.")
@click.option("--test", help="The same for the test lines.")
@click.option("--format", "form", type=click.Choice(["text", "mat"]), default="text", show_default=True)
@click.option("--rate", type=float, help="Sampling rate of text files in MHz; MATLAB files name theirs.  [62.5]")
@click.option("--channel", type=click.IntRange(1), help="The line in MATLAB files with several channels.")
@click.option("--out", type=click.Path(path_type=Path), help="Manifest, .json or .csv.  [FOLDER/manifest.json]")
def manifest(
    folder: Path,
    train: str | None,
    validation: str | None,
    test: str | None,
    form: str,
    rate: float | None,
    channel: int | None,
    out: Path | None,
) -> None:
    """Write the split manifest of a folder of line files, by the numbers in their names.

    It lists file, content hash, split, position, bubbles and pressure of each line, and the rule that chose them, with
    sampling rate and channel. In folders TRAINING, VALIDATION and TESTING each split is looked up in its own; without
    numbers, all lines of them are taken.
    """
    from kernbench.ulm.data.manifest import MANIFEST_NAMES, manifest_by_number, write_manifest
    from kernbench.ulm.srml1d.rates import checked_rate

    given = {"train": train, "validation": validation, "test": test}
    ranges = {split: _range(split, text) for split, text in given.items() if text is not None}
    rate_hz = None if rate is None else checked_rate(rate * 1e6, "--rate")
    made = manifest_by_number(folder, ranges, form, rate_hz, channel)
    path = out or folder / MANIFEST_NAMES[0]
    write_manifest(path, made)
    resampled = "" if made.rate_hz is None else f"; to be resampled from {made.rate_hz / 1e6:.9g} MHz"
    click.echo(f"{path}: {counted(len(made.lines), 'line')}, {made.rule}{resampled}")


@data_command.command(name="import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the data set.")
@click.option("--manifest", "manifest_path", type=click.Path(path_type=Path), help="[FOLDER/manifest.json or .csv]")
def import_(folder: Path, name: str, manifest_path: Path | None) -> None:
    """Import published text lines or MATLAB results into the cache, as a manifest lists them.

    Lines of another sampling rate are resampled to 62.5 MHz, labels move to the nearest sample; the files stay as they
    are. A malformed file is named with its line number, and nothing is imported.
    """
    from kernbench.ulm.data.imported import import_lines
    from kernbench.ulm.data.manifest import find_manifest

    with bar("imported", now_and_then) as progress:
        found = import_lines(folder, manifest_path or find_manifest(folder), name, progress)
    click.echo(f"data set {found.name} ({found.digest}): {_lines_text(found.lines)}, in {found.folder}")
    for note in found.notes:
        click.echo(f"lines: {note}")


@data_command.command()
@click.argument("data")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder.")
@click.option("--split", "splits", multiple=True, help="Split to write; repeatable; all if left out.")
@click.option("--format", "form", type=click.Choice(["text", "mat"]), default="text", show_default=True)
def export(data: str, out: Path, splits: tuple[str, ...], form: str) -> None:
    """Write DATA (name or digest of a data set) as published text lines or MATLAB v5 files, with a manifest."""
    from kernbench.ulm.data.export import export_set
    from kernbench.ulm.data.find import find_set

    with bar("exported", now_and_then) as progress:
        path = export_set(find_set(data), out, splits, form, progress)
    click.echo(f"lines and manifest: {path.parent}")


@data_command.command()
@several_option("--study", "names", help=STUDIES)
@storage_option
def weights(names: tuple[str, ...], storage: str | None) -> None:
    """List the trained networks that finished cells have left, with their files, for `kernbench evaluate --weights`.

    Of each search of a tuned study the best draw comes first: the one of the highest F1 on the validation lines.
    """
    from kernbench.cli.trained_cell import best_first
    from kernbench.networks.weights import WEIGHTS
    from kernbench.store.database.url import resolve_url, shown_url
    from kernbench.store.reading.runs import load_runs

    url = resolve_url(storage)
    runs = best_first(load_runs(url, names, whole=[]))
    kept = [(run, draws, run.artifacts[WEIGHTS]) for run, draws in runs if WEIGHTS in run.artifacts]
    for run, draws, path in kept:
        best = f"  best of {counted(draws, 'draw')}" if draws else ""
        click.echo(f"{run.study} {run.cell}{best}  {path.stat().st_size / 1e6:.2f} MB  {path}")
    if not kept:
        click.echo(f"no trained networks in {shown_url(url)} yet; every cell that is scored leaves one")


@data_command.command()
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder.")
@one_option("--plugin", help="Family that makes the kernels: NAME or FILE.py:NAME, of any version.")
@click.option("--network", shell_complete=completing.file, help="Network where it is from a local file: FILE.py:NAME.")
def export_weights(weights: Path, out: Path, plugin: str | None, network: str | None) -> None:
    """Write the WEIGHTS of a cell in the published layout, a state dict of 86 tensors, with its thresholds.

    The published layout holds a dilated network of 12 layers, 64 channels and K = 3; families other than discrete are
    written as the kernels that they make. One-to-one thresholds have no place in it.
    """
    from kernbench.ulm.evaluation.trained import export_published, load_trained

    written = export_published(load_trained(weights, plugin, network), out)
    click.echo(f"published layout: {', '.join(path.name for path in written)} in {out}")


_NAMED = {"plugin": "Family that makes the kernels: NAME or FILE.py:NAME.", "network": "FILE.py:NAME of a network."}


def _of_cell(command: Any) -> Any:  # click's own
    """Options that name a trained network: a file, or a cell of a study."""
    for option in reversed(
        (
            click.option("--weights", type=click.Path(path_type=Path), help="weights.pt, or published weights."),
            one_option("--study", help="In place of --weights: the cell of this study, by what follows."),
            one_option("--plugin", help=_NAMED["plugin"]),
            click.option("--kernel-size", type=click.IntRange(1), help="With --study: as --only kernel_size=N."),
            only_option,
            click.option("--network", shell_complete=completing.file, help=_NAMED["network"]),
            storage_option,
        )
    ):
        command = option(command)
    return command


def _trained(
    weights: Path | None,
    study: str | None,
    plugin: str | None,
    kernel_size: int | None,
    only: "Selection",
    network: str | None,
    storage: str | None,
) -> "Trained":
    from kernbench.cli.trained_cell import cell_or_file
    from kernbench.ulm.evaluation.trained import load_trained

    path, family = cell_or_file(weights, study, plugin, kernel_size, only, storage)
    return load_trained(path, family, network)


@data_command.command()
@_of_cell
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File, .npz.")
def export_kernels(out: Path, **given: Any) -> None:
    """Write the kernels of a trained network as NumPy arrays: lags, values, dilation and bias of each layer."""
    from kernbench.ulm.evaluation.kernel_export import export_kernels as write

    trained = _trained(**given)
    write(trained, out)
    click.echo(f"{out}: kernels of {counted(len(trained.network.kernel_layers()), 'layer')} of {trained.label}")


@data_command.command()
@_of_cell
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File, .onnx.")
def export_onnx(out: Path, **given: Any) -> None:
    """Write a trained network as an ONNX file of plain convolutions, for lines of any number and length.

    The file gets its name only if onnxruntime gives what the network gives. Needs the extra onnx.
    """
    from kernbench.ulm.evaluation.onnx_export import export_onnx as write

    trained = _trained(**given)
    worst = write(trained, out)
    click.echo(f"{out}: {trained.label}; onnxruntime gives its scores to {worst:.1g} of the largest")


def _range(split: str, text: str) -> tuple[int, int]:
    """First and last number of a range such as 1-1024."""
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise click.UsageError(f"--{split} expected a range such as 1-1024, got {text!r}")
    return int(first), int(last)


def _print_imported() -> None:
    """Imported sets, below the simulated ones."""
    from kernbench.ulm.data.imported import describe_imported

    sets = describe_imported()
    if sets:
        click.echo(f"imported: {counted(len(sets), 'set')}, {sum(each.size_bytes for each in sets) / 1e6:,.1f} MB")
    for each in sets:
        state = f"DAMAGED ({each.problem}); import it again" if each.problem else "intact"
        size = f"{each.size_bytes / 1e6:8.1f} MB"
        of = "; ".join((each.source, *each.notes))
        click.echo(f"  {each.digest} {each.name}  {size}  {_lines_text(each.lines)}, {state}; {of}")


def _lines_text(lines: Mapping[str, int]) -> str:
    """Lines by split: "train 8, test 1 line"."""
    *others, (split, number) = lines.items()
    return ", ".join([*(f"{name} {count}" for name, count in others), f"{split} {counted(number, 'line')}"])
