"""`kernbench baselines`: classical detectors on the lines of a study or of any data set."""

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli.names import one_option
from kernbench.cli.options import device_option, profile_option, storage_option
from kernbench.cli.terminal.bars import Progress, bar, one_line
from kernbench.cli.terminal.detectors import noise_text, print_rows

if TYPE_CHECKING:
    from kernbench.study.study import Params, Study
    from kernbench.ulm.data.recipe import Split

FILE = "baselines.csv"


@click.command()
@one_option("--study", "study_name", default="k_sweep", help="Study: its lines, training, splits.")
@one_option("--plugin", default="discrete", help="Family that the study is read for.")
@profile_option
@click.option("--data", help="Other lines: imported set, digest of simulated lines, or folder with a manifest.")
@click.option("--noise", type=click.FloatRange(0, 1000), help="Nominal percent of 9.65 a.u.  [the study's]")
@click.option("--methods", default="", help="Comma-separated names.  [all that fit the lines]")
@device_option
@storage_option
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
    """Fit and score detectors that are no networks, and the blind floors.

    Methods: random, comb, envelope, matched-filter, wiener, fista-single, fista-bank, fista-per-line, omp, fir-257,
    fir-1025, fir-4097.

    Delay, settings, thresholds and decoder are fitted on the study's threshold split and frozen; the blind methods,
    random and comb, are the best on the scored lines themselves. Results stay in the artifacts of the storage, where
    reports on studies of the same lines and noise find them. Where noise is an axis of the study, each level has its
    own.
    """
    from kernbench.engine.fleet.disk import check_places
    from kernbench.host.device import choose_device, default_profile
    from kernbench.registry import find
    from kernbench.store.database.url import resolve_url, side_folder
    from kernbench.study.task import load
    from kernbench.ulm.detectors import on_studies
    from kernbench.ulm.detectors.catalogue import check_methods
    from kernbench.ulm.detectors.results import write_rows

    where, url = choose_device(device), resolve_url(storage)
    study = load(study_name, find(plugin).family, profile or default_profile(where))
    given = [name.strip() for name in methods.split(",") if name.strip()]
    check_methods(given, 1 << 30)  # a misspelt name before anything is simulated
    check_places(url, out)
    digest, lines_of = _lines(study, data, where)
    wanted = on_studies.groups(study, digest, noise)
    several = sum(len(group.domains) for group in wanted) > 1
    for group in wanted:
        bench = on_studies.bench(study, lines_of(group.params), group, side_folder(url, "artifacts"), where)
        rows_of_each = bench.run(check_methods(given, bench.length), working)
        for domain, path, rows in zip(group.domains, bench.paths, rows_of_each, strict=True):
            print_rows(rows, f"data {domain.data_digest}, {noise_text(domain)}")
            copy = None if out is None else out / (path.name if several else FILE)
            if copy is not None:
                write_rows(rows, copy)
            click.echo(f"results: {path}" + (f" and {copy}" if copy else ""))


def _lines(
    study: "Study", data: str | None, device: str
) -> "tuple[str | None, Callable[[Params], Mapping[str, Split]]]":
    """Digest of a named data set, or None; and the lines of some axis values: the study's own, or those of the set."""
    from kernbench.cli.terminal import console
    from kernbench.ulm.cells.definition import prepare
    from kernbench.ulm.data.find import find_set
    from kernbench.ulm.detectors import on_studies
    from kernbench.ulm.detectors.catalogue import TEST

    if data is None:
        with console.observer(study) as observer:
            prepare(study, device, observer.simulated)
        return None, functools.partial(on_studies.study_splits, study)
    found = find_set(data)
    wanted = {*found.splits, study.definition["evaluation"]["threshold_split"], TEST}  # `load` names a missing one
    splits = {split: found.load(split) for split in sorted(wanted)}
    return found.digest, lambda _: splits


def working(name: str) -> AbstractContextManager[Progress]:
    """Progress of one detector: a bar on a terminal, one line in a log."""
    return bar(f"classical detector: {name}", one_line)
