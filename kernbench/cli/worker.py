"""`kernbench worker`: one more worker on a study, from any machine; and the command line of those that `run` starts."""

import functools
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

import kernbench
from kernbench.cli import completing
from kernbench.cli.names import one_option
from kernbench.cli.options import device_option, only_option, sigterm_is_no_error, storage_option

if TYPE_CHECKING:
    from kernbench.cli.terminal.progress import LiveObserver
    from kernbench.engine.fleet.children import Crew
    from kernbench.engine.fleet.joining import Joined, WorkerTerms
    from kernbench.engine.fleet.runner import Options
    from kernbench.registry import Found
    from kernbench.store.reading.stored_study import Stored
    from kernbench.study.selection import Selection
    from kernbench.study.study import Study


@click.command()
@one_option("--study", "study_name", required=True, help="Study in the database: k_sweep, or its full name.")
@storage_option
@click.option("--profile", shell_complete=completing.profile, help="Scale, where the study is stored with several.")
@one_option("--plugin", help="Only this kernel family: an installed name or ./file.py:name.  [all of the study]")
@click.option(
    "--network",
    "networks",
    shell_complete=completing.file,
    multiple=True,
    help="Network from a local file, FILE.py:NAME; repeatable.",
)
@only_option
@device_option
@click.option("--stop-after", help="Begin no cell after this time: 3h30m.")
@click.option("--cell-limit", help="Time that a cell may take: 2h.  [as long as it takes]")
@click.option("--cell-margin", hidden=True, help="Time beyond the limit until the process is ended.")
@click.option("--coordinated", is_flag=True, hidden=True, help="Standard input is a pipe from the coordinator.")
@click.option("--heartbeat", type=(int, int), hidden=True, help="Seconds between heartbeats, and of grace.")
@sigterm_is_no_error()
def worker_command(
    study_name: str,
    storage: str | None,
    profile: str | None,
    plugin: str | None,
    networks: tuple[str, ...],
    only: "Selection",
    device: str,
    stop_after: str | None,
    cell_limit: str | None,
    cell_margin: str | None,
    coordinated: bool,
    heartbeat: tuple[int, int] | None,
) -> int:
    """Join a study: run its waiting cells until none is left.

    Everything but the plugins is taken from the database; `kernbench run` has put it there. Start as many as you
    like, on as many machines. A family or a network from a local file has to be given again.
    """
    from kernbench.host.garbage import put_off

    with put_off():
        from kernbench.engine.fleet.joining import WorkerTerms, serve  # and with it nearly everything
    from kernbench.cli.options import limit_of
    from kernbench.cli.terminal import console
    from kernbench.engine.work.durations import seconds_of
    from kernbench.host.device import choose_device
    from kernbench.registry import find, find_network
    from kernbench.store.database.opening import GRACE_S, HEARTBEAT_S, outage_explained
    from kernbench.store.database.url import resolve_url
    from kernbench.store.reading.stored_study import find_stored
    from kernbench.study.task import task

    url = resolve_url(storage)
    beat, grace = heartbeat or (HEARTBEAT_S, GRACE_S)
    terms = WorkerTerms(
        url=url,
        device=choose_device(device),
        limit=limit_of(cell_limit, cell_margin),
        stop_after_s=None if stop_after is None else seconds_of(stop_after, "--stop-after"),
        coordinated=coordinated,
        heartbeat_s=beat,
        grace_s=grace,
        only=only,
    )
    family = None if plugin is None else find(plugin).family.name
    for each in networks:
        find_network(each)  # the study names it by what it found
    with _no_refusal_by_outage(coordinated), outage_explained(url):
        stored = find_stored(url, study_name, profile, family)
    only.check(cell for each in stored for cell in each.cells)
    with _no_refusal_by_outage(coordinated), console.observer(stored[0].key.partition("/")[0]) as observer:
        joined = _joined(stored, plugin, terms, observer)
        return serve(joined, terms, task().run, observer)


def _joined(
    stored: "list[Stored]", plugin: str | None, terms: "WorkerTerms", observer: "LiveObserver"
) -> "list[Joined]":
    """The studies that this installation can serve.

    Raises:
        PluginError: it has none of their families.
        StudyError: it would compute other cells.
    """
    from kernbench.errors import PluginError
    from kernbench.registry import find

    joined: list[Joined] = []
    lacking: list[PluginError] = []
    for each in stored:
        try:
            found = find(plugin or each.family)
        except PluginError as error:
            lacking.append(error)
            continue
        joined.append(_join(each, found, terms, observer))
    if not joined:
        raise lacking[0]
    for each_lacking in lacking:
        observer.note(f"warning: {each_lacking}; its cells are left to other workers")
    return joined


def _join(each: "Stored", found: "Found", terms: "WorkerTerms", observer: "LiveObserver") -> "Joined":
    """One study as this installation reads it, refused where it would compute other cells."""
    from kernbench.engine.fleet.joining import Joined
    from kernbench.store.reading.stored_study import check_same, find_stored
    from kernbench.study.task import restored, task

    study = restored(each, found.family)
    check_same(each, study)
    if not terms.coordinated:  # else it has just been done
        task().check(study, terms.device, terms.only)

    def again() -> "Joined":
        (now,) = find_stored(terms.url, each.key)
        return _join(now, found, terms, observer)

    return Joined(
        study=study,
        found=found,
        cells=[cell for cell in each.cells if cell in terms.only],
        prepare=functools.partial(task().prepare, study, terms.device, observer.simulated),
        again=again,
    )


@contextmanager
def _no_refusal_by_outage(coordinated: bool) -> Iterator[None]:
    """Code 3 where a database that the coordinator works with cannot be opened: the next worker may find it."""
    from kernbench.errors import StorageError, StorageLostError
    from kernbench.store.database.outage import is_outage

    try:
        yield
    except StorageError as error:
        if coordinated and is_outage(error.__cause__):
            raise StorageLostError(str(error)) from error
        raise


def crew_of(workers: int, plugin: str, device: str, study: "Study", options: "Options") -> "Crew | None":
    """Worker processes for a run; None where its own process does the work.

    Args:
        workers: how many.
        plugin: as typed.
        device: as typed; "auto" and "cuda" give each worker the next GPU.
        study: what is run.
        options: of the run.
    """
    if workers == 0 or (workers == 1 and options.limit is None):  # a process cannot outlive its own watch
        return None
    from kernbench.engine.fleet.children import Crew

    words = [*_program(), "worker", "--study", study.key, "--plugin", plugin, "--coordinated"]
    words += [word for network in study.network_files() for word in ("--network", network)]
    words += options.only.options
    words += ["--heartbeat", str(options.heartbeat_s), str(options.grace_s)]
    if options.limit is not None and options.limit.margin is not None:
        words += ["--cell-limit", f"{options.limit.seconds:.0f}s", "--cell-margin", f"{options.limit.margin:.0f}s"]
    devices = _devices(device, options.device)

    def command(place: int) -> Sequence[str]:
        return [*words, "--device", devices[place % len(devices)]]

    # in the environment, because its password would be seen among the arguments
    return Crew(workers, command, {"KERNBENCH_STORAGE": options.url})


def _program() -> list[str]:
    """This Python and this kernbench; a file of the working folder must not pass for a module."""
    safe = [] if Path(kernbench.__file__).parents[1] == Path.cwd() else ["-P"]
    return [sys.executable, *safe, "-m", "kernbench"]


def _devices(asked: str, chosen: str) -> list[str]:
    """Devices to hand out in turn: all GPUs, unless one or the CPU was asked for."""
    if chosen == "cpu" or ":" in asked:
        return [chosen]
    from kernbench.host.accelerator import module_of

    kind = chosen.partition(":")[0]
    return [f"{kind}:{index}" for index in range(module_of(kind).device_count())]
