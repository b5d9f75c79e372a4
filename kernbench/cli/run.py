"""`kernbench run`: from names of studies and families to finished cells, tables of results and a report."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli.names import several_option
from kernbench.cli.options import device_option, only_option, profile_option, sigterm_is_no_error, storage_option

if TYPE_CHECKING:
    from kernbench.cli.jobs import Job
    from kernbench.engine.fleet.runner import Options, Result
    from kernbench.study.selection import Selection
    from kernbench.study.study import Study


@click.command()
@several_option(
    "--plugin",
    "plugins",
    required=True,
    help="Kernel family: an installed name or ./file.py:name; several by repetition or with commas.",
)
@several_option(
    "--study",
    "names",
    required=True,
    help="Study: an installed name or a .toml file; several by repetition or with commas.",
)
@only_option
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
    plugins: tuple[str, ...],
    names: tuple[str, ...],
    only: "Selection",
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
    """Run the missing cells of a study for a kernel family, then show results and write the report.

    Run it again to go on after an interruption: finished cells are never run twice. It also runs the quick
    classical detectors (`kernbench baselines`) on the same lines, once for each data set and noise level.

    Several studies or families are run one after the other, each study for each family, and reported together. One
    that is refused is refused before anything runs; one that fails does not stop the others.
    """
    from kernbench.host.garbage import put_off

    with put_off():
        from kernbench.engine.fleet import runner  # and with it nearly everything
    from kernbench.cli.checked import warn_unchecked
    from kernbench.cli.jobs import needed, planned
    from kernbench.cli.options import limit_of
    from kernbench.cli.terminal import console
    from kernbench.engine.fleet.disk import check_places, check_room
    from kernbench.host.device import choose_device, default_profile
    from kernbench.report.page.default_folder import default_folder
    from kernbench.store.database.opening import GRACE_S, HEARTBEAT_S
    from kernbench.store.database.url import resolve_url

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
        only=only,
    )
    jobs = planned(plugins, names, profile or default_profile(options.device), seeds, options)
    families = [(job.plugin, job.found) for job in jobs]
    if dry_run:
        warn_unchecked(families)
        for job in jobs:
            console.print_plan(job.study, job.plan)
        return 0
    folder = out or default_folder([options.url])[0]
    check_places(options.url, folder)
    check_room(needed(jobs, options.url, folder, max(1, workers)))
    warn_unchecked(families)  # a command that is refused has said why, in one line
    return _Runs(options, workers, device, baselines=not no_baselines).all_of(jobs, out)


class _Runs:
    """Runs one after the other; the exit code is the worst of theirs."""

    def __init__(self, options: "Options", workers: int, device: str, *, baselines: bool) -> None:
        self._options, self._workers, self._device, self._baselines = options, workers, device, baselines
        self._code = 0

    def all_of(self, jobs: "Sequence[Job]", out: Path | None) -> int:
        """Run them, then write one report; see `run_command`."""
        from kernbench.cli.terminal import console

        ended = False
        for place, job in enumerate(jobs, 1):
            with self._going_on():
                result = self._run(job)
                self._code = max(self._code, result.exit_code)
                if result.stopped:
                    if jobs[place:]:
                        click.echo(f"not begun: {', '.join(each.study.key for each in jobs[place:])}")
                    return self._code
                ended = ended or result.ended
                if result.ended and not self._options.queue_only:
                    self._show(job, result)
        if ended and not self._options.queue_only:
            with _only_warned("no report was written; `kernbench report` tries again"):
                console.write_report([self._options.url], out, only=self._options.only, always=False)
        return self._code

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """What ends one run is said, and counts; the others go on."""
        from kernbench.cli.terminal.errors import complain
        from kernbench.errors import KernbenchError

        try:
            yield
        except KernbenchError as error:
            complain(error)
            self._code = max(self._code, error.exit_code)

    def _run(self, job: "Job") -> "Result":
        from kernbench.cli.terminal import console
        from kernbench.cli.worker import crew_of
        from kernbench.engine.fleet import runner
        from kernbench.study.task import task

        options, study = self._options, job.study
        with console.observer(study) as observer:
            result = runner.run(
                study,
                job.found,
                options,
                compute=task().run,
                prepare=lambda: task().prepare(study, options.device, observer.simulated),
                observer=observer,
                crew=crew_of(self._workers, job.plugin, self._device, study, options),
            )
        console.print_outcome(study, result, options.url)
        return result

    def _show(self, job: "Job", result: "Result") -> None:
        """Results and classical detectors; what fails is a warning, because the cells are done."""
        from kernbench.cli.terminal import console

        if self._baselines and any(state.state == "done" for state in result.states):
            with _only_warned("classical detectors have no results; `kernbench baselines` makes them"):
                _add_baselines(job.study, self._options)
        with _only_warned("the results cannot be shown; `kernbench report` shows them"):
            console.print_results(job.study, self._options.url, self._options.only)


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
