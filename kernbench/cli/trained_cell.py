"""The trained network of a cell by its study, family and values."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli.names import family_names
from kernbench.errors import DataError, counted

if TYPE_CHECKING:
    from kernbench.store.reading.records import Run
    from kernbench.study.selection import Selection

MOST_LISTED = 6


def cell_or_file(
    weights: Path | None,
    study: str | None,
    plugin: str | None,
    kernel_size: int | None,
    only: "Selection",
    storage: str | None,
) -> tuple[Path, str | None]:
    """Weights that the options of a command mean, and the family to take in place of the one that they name.

    Args:
        weights: of --weights, or None with --study.
        study: of --study.
        plugin: of --plugin: with a study its family, else that of the kernels.
        kernel_size: of --kernel-size.
        only: of --only.
        storage: of --storage.

    Raises:
        click.UsageError: options that exclude or need each other.
        KernbenchError: see `weights_of_cell`.
    """
    from kernbench.store.database.url import resolve_url
    from kernbench.study.selection import read_selection

    if study is not None and weights is not None:
        raise click.UsageError("--weights and --study exclude each other")
    if study is None and (kernel_size or only):
        raise click.UsageError("--kernel-size and --only go with --study")
    if weights is not None:
        return weights, plugin
    if study is None:
        raise click.UsageError("expected --weights or --study")
    sizes = [] if kernel_size is None else [f"kernel_size={kernel_size}"]
    families = family_names([] if plugin is None else [plugin])
    found = weights_of_cell(resolve_url(storage), study, families, read_selection([*only.options[1::2], *sizes]))
    return found, plugin if plugin is not None and ".py" in plugin else None  # an installed one must be of its version


def weights_of_cell(url: str, study: str, families: Sequence[str], only: "Selection") -> Path:
    """Weights of the one cell that is meant; of a search, those of the draw that was best on validation lines.

    Args:
        url: storage URL.
        study: `k_sweep`, or `k_sweep.v1.quick/siren`.
        families: kernel families; all by default.
        only: which cell.

    Raises:
        DataError: several cells are meant, none has a trained network, or its file is not there.
        StudyError: a study, family or cell that is not stored.
        StorageError: no database.
    """
    from kernbench.networks.weights import WEIGHTS
    from kernbench.report.numbers.searches import is_tuned, searches_of
    from kernbench.store.reading.records import OK
    from kernbench.store.reading.several import load_several

    runs = load_several([url], [study], [], families, only)
    chosen = [search.chosen for search in searches_of(runs)]
    found = [run for run in runs if run.status == OK and not is_tuned(run)] + [run for run in chosen if run is not None]
    if not found:
        meant = f" with {only.text}" if only else ""
        raise DataError(f"--study {study}: no cell{meant} has a trained network; `kernbench status` says how far it is")
    if len(found) > 1:
        names = "; ".join(map(_name, found[:MOST_LISTED]))
        more = f"; and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
        raise DataError(
            f"--study {study}: expected one cell, got {counted(len(found), 'cell')} ({names}{more}); choose by "
            "--plugin, --kernel-size or --only seed=0"
        )
    if WEIGHTS not in found[0].artifacts:
        raise DataError(
            f"{_name(found[0])} has no file {WEIGHTS} beside the database; give the command in the folder where the "
            "study ran; `kernbench storage check` names the files"
        )
    return found[0].artifacts[WEIGHTS]


def best_first(runs: "Sequence[Run]") -> "list[tuple[Run, int]]":
    """Cells in their order, but draws of one search together, the chosen one first.

    Returns:
        Each cell, and for a chosen draw how many draws of its search there are; else 0.
    """
    from kernbench.report.numbers.searches import searches_of

    places = {id(run): place for place, run in enumerate(runs)}
    in_search = {id(run) for search in searches_of(runs) for run in search.draws}
    groups = [[(run, 0)] for run in runs if id(run) not in in_search]
    for search in searches_of(runs):
        best = search.chosen
        others = [(run, 0) for run in search.draws if run is not best]
        groups.append(([] if best is None else [(best, len(search.draws))]) + others)
    groups.sort(key=lambda group: min(places[id(run)] for run, _ in group))
    return [each for group in groups for each in group]


def _name(run: "Run") -> str:
    return f"{run.study} {run.cell}"
