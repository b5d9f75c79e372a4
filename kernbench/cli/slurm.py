"""`kernbench slurm`: write an array script for a cluster; it submits nothing."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernbench.cli import completing
from kernbench.cli.names import one_option

if TYPE_CHECKING:
    from kernbench.study.study import Study

PASSED_ON = ("KERNBENCH_CACHE", "KERNBENCH_LOAD_PLUGINS")


@click.command()
@one_option("--study", "study_name", required=True, help="Study: an installed name or a .toml file.")
@click.option("--array", type=click.IntRange(1), required=True, help="Tasks of the array, one worker each.")
@one_option("--plugin", help="Serve this family only.  [all families of the study in the database]")
@click.option("--profile", shell_complete=completing.profile, help="Scale.  [thesis with --gpu, else quick]")
@click.option("--storage", help="PostgreSQL URL, without password [KERNBENCH_STORAGE].")
@click.option("--at-once", type=click.IntRange(1), help="Tasks that may run concurrently.  [all]")
@click.option("--time", default="04:00:00", help="Limit of each task, HH:MM:SS or D-HH:MM:SS.", show_default=True)
@click.option(
    "--grace",
    type=click.IntRange(10, 65535),
    default=120,
    help="Seconds before the limit at which a worker saves its cell and leaves.",
    show_default=True,
)
@click.option("--cpus", type=click.IntRange(1), default=1, help="Cores and threads of a worker.", show_default=True)
@click.option("--gpu", is_flag=True, help="Give each worker a graphics card.")
@click.option("--cell-limit", help="Wall limit of a cell, such as 2h.")
@click.option("--sbatch", "extra", multiple=True, help="Further option, --sbatch=--partition=gpu; repeatable.")
@click.option("--out", type=click.Path(path_type=Path), help="New file, - for the screen.  [kernbench-STUDY.sbatch]")
def slurm_command(
    study_name: str,
    array: int,
    plugin: str | None,
    profile: str | None,
    storage: str | None,
    at_once: int | None,
    time: str,
    grace: int,
    cpus: int,
    gpu: bool,
    cell_limit: str | None,
    extra: tuple[str, ...],
    out: Path | None,
) -> None:
    """Write a Slurm array script whose tasks work on one study together. It writes the file and nothing else.

    The workers share a PostgreSQL database and this folder. Fill the queue first, then submit.
    """
    from kernbench.cli.options import limit_of
    from kernbench.engine.fleet import slurm
    from kernbench.store.database.url import resolve_url

    limit_of(cell_limit)  # a mistake is reported now, not when the job begins
    study = _study(study_name, plugin, profile or ("thesis" if gpu else "quick"))
    request = slurm.Request(
        study=study.name,
        profile=study.profile,
        storage=resolve_url(storage),
        python=sys.executable,
        folder=str(Path.cwd()),
        plugin=_from_anywhere(plugin),
        networks=tuple(filter(None, map(_from_anywhere, study.network_files()))),
        array=array,
        at_once=at_once,
        time=time,
        grace_s=grace,
        cpus=cpus,
        gpu=gpu,
        cell_limit=cell_limit,
        extra=extra,
        environment={name: os.environ[name] for name in PASSED_ON if os.environ.get(name)},
    )
    text = slurm.script(request)
    if str(out) == "-":
        click.echo(text, nl=False)
        return
    path = out or Path(f"kernbench-{study.name}.sbatch")
    _write_new(path, text)
    click.echo(f"written: {path}")
    click.echo(f"fill the queue:  {slurm.fill_command(request, study_name)}")
    click.echo(f"then submit:     sbatch {path}")


def _study(name: str, plugin: str | None, profile: str) -> "Study":
    """The study as one family sees it: the one named, else the first installed one that has its axes."""
    from kernbench.errors import StudyError
    from kernbench.registry import find, installed
    from kernbench.study.task import load

    if plugin is not None:
        return load(name, find(plugin).family, profile)
    refusal: StudyError | None = None
    for found in installed().found.values():
        try:
            return load(name, found.family, profile)
        except StudyError as error:
            refusal = refusal or error
    raise refusal or StudyError("no kernel family is installed; reinstall kernbench or name one by --plugin")


def _from_anywhere(plugin: str | None) -> str | None:
    """A family or network of a file by the file's absolute path."""
    if plugin is None or ".py:" not in plugin:
        return plugin
    file, _, name = plugin.rpartition(":")
    return f"{Path(file).absolute()}:{name}"


def _write_new(path: Path, text: str) -> None:
    from kernbench.errors import KernbenchError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise KernbenchError(f"{path} exists and is kept; delete it or give another --out") from error
    except OSError as error:
        path.unlink(missing_ok=True) if path.is_file() else None
        raise KernbenchError(f"{path} cannot be written: {error.strerror}; give another --out") from error
