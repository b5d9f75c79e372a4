"""`kernbench run`: from a study's name to finished cells, a results table and a report."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli.options import device_option, profile_option, sigterm_is_no_error, storage_option

if TYPE_CHECKING:
    from kernbench.engine.fleet.runner import Options
    from kernbench.study.study import Study


@click.command()
@click.option("--plugin", required=True, help="Kernel family: an installed name or ./file.py:name.")
@click.option("--study", "study_name", required=True, help="Study: an installed name or a .toml file.")
@profile_option
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    help="1 runs the cells here, more in so many processes; 0 only fills the queue.",
    show_default=True,
)
@device_option
@storage_option
@click.option("--dry-run", is_flag=True, help="Say what would run; write nothing.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    help="Seeds of each point; a larger number adds cells.  [as the study says]",
)
@click.option("--extend", is_flag=True, help="Allow cells beyond those stored.")
@click.option("--retry-failed", is_flag=True, help="Queue failed cells again.")
@click.option("--no-baselines", is_flag=True, help="Leave out the classical detectors.")
@click.option("--cell-limit", help="Time that a cell may take: 2h.  [as long as it takes]")
@click.option("--cell-margin", hidden=True, help="Time beyond the limit until a process is ended.")
@click.option("--heartbeat", type=(int, int), hidden=True, help="Seconds between heartbeats, and of grace.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the report.  [kernbench-report; another one where that shows another database]",
)
@sigterm_is_no_error()
def run_command(
    plugin: str,
    study_name: str,
    profile: str | None,
    workers: int,
    device: str,
    storage: str | None,
    dry_run: bool,
    seeds: int | None,
    extend: bool,
    retry_failed: bool,
    no_baselines: bool,
    cell_limit: str | None,
    cell_margin: str | None,
    heartbeat: tuple[int, int] | None,
    out: Path | None,
) -> int:
    """Run the missing cells of a study for one kernel family, then show results and write the report.

    Run it again to go on after an interruption: finished cells are never run twice. It also runs the quick
    classical detectors (`kernbench baselines`) on the same lines, once for each data set and noise level.
    """
    from kernbench.host.garbage import put_off

    with put_off():
        from kernbench.engine.fleet import runner  # and with it nearly everything
    from kernbench.cli.options import limit_of
    from kernbench.cli.terminal import console
    from kernbench.cli.worker import crew_of
    from kernbench.engine.fleet.disk import check_places, check_room, needs
    from kernbench.host.device import choose_device, default_profile
    from kernbench.registry import find
    from kernbench.report.page.default_folder import default_folder
    from kernbench.store.database.opening import GRACE_S, HEARTBEAT_S
    from kernbench.store.database.url import resolve_url
    from kernbench.study.task import load, task

    beat, grace = heartbeat or (HEARTBEAT_S, GRACE_S)
    options = runner.Options(
        url=resolve_url(storage),
        device=choose_device(device),
        extend=extend,
        more_seeds=seeds is not None,
        retry_failed=retry_failed,
        queue_only=workers == 0,
        limit=limit_of(cell_limit, cell_margin),
        heartbeat_s=beat,
        grace_s=grace,
    )
    found = find(plugin)
    study = load(study_name, found.family, profile or default_profile(options.device))
    if seeds is not None:
        study = dataclasses.replace(study, seeds=tuple(range(seeds)))
    parameters = task().check(study, options.device)
    plan = runner.plan(study, options)
    if dry_run:
        console.print_plan(study, plan)
        return 0
    folder = out or default_folder([options.url])[0]
    check_places(options.url, folder)
    check_room(needs(study, options.url, folder, cells=plan.to_run, parameters=parameters, workers=max(1, workers)))
    with console.observer(study) as observer:
        result = runner.run(
            study,
            found,
            options,
            compute=task().run,
            prepare=lambda: task().prepare(study, options.device, observer.simulated),
            observer=observer,
            crew=crew_of(workers, plugin, device, study, options),
        )
    console.print_outcome(study, result, options.url)
    if result.ended and not result.stopped and not options.queue_only:
        baselines = not no_baselines and any(state.state == "done" for state in result.states)
        _show(study, options, out, baselines=baselines)
    return result.exit_code


def _show(study: "Study", options: "Options", out: Path | None, *, baselines: bool) -> None:
    """Results, classical detectors and report; what fails is a warning, because the cells are done."""
    from kernbench.cli.terminal import console

    with _only_warned("the results cannot be shown; `kernbench report` shows them"):
        console.print_results(study, options.url)
    if baselines:
        with _only_warned("classical detectors have no results; `kernbench baselines` makes them"):
            _add_baselines(study, options)
    with _only_warned("no report was written; `kernbench report` tries again"):
        console.write_report([options.url], out, always=False)


@contextmanager
def _only_warned(what: str) -> Iterator[None]:
    """One line on standard error for what fails, a full disk included."""
    from kernbench.errors import only_warned

    def say(text: str) -> None:
        click.echo(f"kernbench: warning: {text}", err=True)

    try:
        with only_warned(what, say):
            yield
    except OSError as error:
        say(f"{what}: {error.strerror}")


def _add_baselines(study: "Study", options: "Options") -> None:
    """Classical detectors that have no results on the lines of the study yet."""
    from kernbench.cli.baselines import working
    from kernbench.store.database.url import side_folder
    from kernbench.ulm.detectors import on_studies
    from kernbench.ulm.detectors.names import QUICK

    on_studies.add_missing(study, QUICK, side_folder(options.url, "artifacts"), options.device, working)
