"""A Slurm array script whose tasks are workers of one study; nothing here talks to Slurm or to the database."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from kernbench.errors import KernbenchError, StorageError
from kernbench.store.database.url import holds_password, shown_url, sqlite_path

WORD = r"[\w.,:=@%+/-]+"  # what Slurm's own names, sizes and lists are made of
_TIME = r"(\d+(:\d{1,2}(:\d{1,2})?)?|\d+-\d{1,2}(:\d{1,2}(:\d{1,2})?)?)"
# Since Slurm 22.05 a step does not take the task's cores from the job by itself.
_SCRIPT = """\
#!/bin/bash
# Workers of study {study} at {profile}, written by kernbench {version}.
# Database, this folder, the Python environment and the cache of lines must be reachable from every machine.
# A worker that is preempted or near its time limit saves a checkpoint and puts its cell back into the queue;
# submit the script again until `kernbench status` shows no cell waiting.
#SBATCH --job-name=kernbench-{study}
#SBATCH --array={array}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cpus}
#SBATCH --time={time}
#SBATCH --signal=TERM@{grace_s}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=kernbench-{study}.%A_%a.log
{options}
cd -- {folder} || exit 2
export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"
{settings}srun --cpus-per-task="$SLURM_CPUS_PER_TASK" {worker}
"""
_OURS = ("gres", *re.findall(r"^#SBATCH --([a-z-]+)", _SCRIPT, re.MULTILINE))


@dataclass(frozen=True)
class Request:
    """What the script is to say.

    Attributes:
        study: name of the study, letters, digits, _ and -.
        profile: scale.
        storage: PostgreSQL URL without a password.
        python: interpreter that has kernbench, absolute.
        folder: where the workers run; artifacts and checkpoints are there, so all machines must see it.
        plugin: the one family to serve, or None for all families of the study.
        networks: networks of the study that local files offer, FILE.py:NAME.
        array: number of tasks, workers each.
        at_once: tasks that may run concurrently, None for all.
        time: limit of each task, as Slurm writes it.
        grace_s: seconds before that limit at which a worker is asked to leave.
        cpus: cores of a worker, and its threads.
        gpu: whether each worker has a graphics card.
        cell_limit: wall limit of a cell, as `kernbench worker` takes it.
        extra: further `#SBATCH` options, "--partition=gpu".
        environment: variables to set for the workers, name -> value.
    """

    study: str
    profile: str
    storage: str
    python: str
    folder: str
    plugin: str | None = None
    array: int = 1
    at_once: int | None = None
    time: str = "04:00:00"
    grace_s: int = 120
    cpus: int = 1
    gpu: bool = False
    cell_limit: str | None = None
    extra: Sequence[str] = ()
    networks: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def check(request: Request) -> None:
    """Refuse what would not run, or would show a password.

    Raises:
        StorageError: SQLite, which other machines cannot share, or a password in the URL.
        KernbenchError: a time that Slurm does not know, or an option that is not one.
    """
    if sqlite_path(request.storage) is not None:
        raise StorageError(
            f"storage {shown_url(request.storage)}: Slurm's machines cannot share a SQLite file; expected "
            "postgresql+psycopg://user@host/name (`kernbench storage copy` moves what is there)"
        )
    if holds_password(request.storage):
        raise StorageError(
            f"storage {shown_url(request.storage)}: the script would hold the password; "
            "leave it out of the URL and put it into ~/.pgpass or PGPASSWORD"
        )
    if not re.fullmatch(_TIME, request.time):
        raise KernbenchError(
            f"--time {request.time[:60]!r}: expected minutes, HH:MM:SS or D-HH:MM:SS, such as 04:00:00"
        )
    for option in request.extra:
        found = re.fullmatch(rf"--([a-z][a-z0-9-]*)(={WORD})?", option)
        if found is None:
            raise KernbenchError(f"--sbatch {option[:60]!r}: expected one option of sbatch, such as --partition=gpu")
        if found[1] in _OURS:
            raise KernbenchError(f"--sbatch {option[:60]!r}: --{found[1]} is written by kernbench itself; leave it out")
    texts = {"the folder": request.folder, "--plugin": request.plugin or "", "the interpreter's path": request.python}
    texts |= {"--network": "".join(request.networks)}
    for name, value in {**texts, **request.environment}.items():
        if set(value) & set("\n\r\0"):
            raise KernbenchError(f"{name} holds a line break, which cannot be written into the script; rename it")


def script(request: Request) -> str:
    """The text of the script.

    Args:
        request: see Request; checked by `check`.

    Raises:
        StorageError, KernbenchError: see `check`.
    """
    check(request)
    last = f"0-{request.array - 1}" + (f"%{request.at_once}" if request.at_once else "")
    options = [f"#SBATCH {option}" for option in (*(["--gres=gpu:1"] if request.gpu else []), *request.extra)]
    settings = {"KERNBENCH_STORAGE": request.storage, **request.environment}
    return _SCRIPT.format(
        study=request.study,
        profile=request.profile,
        version=version("kernbench"),
        array=last,
        cpus=request.cpus,
        time=request.time,
        grace_s=request.grace_s,
        options="".join(f"{option}\n" for option in options),
        folder=shlex.quote(request.folder),
        settings="".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()),
        worker=_worker_command(request),
    )


def fill_command(request: Request, study: str) -> str:
    """The command that makes study and queue, run once before the script is submitted.

    Args:
        request: see Request.
        study: as the user named it: an installed study or a file.
    """
    words = ["kernbench", "run", "--study", study, "--profile", request.profile]
    words += ["--plugin", request.plugin or "FAMILY", "--storage", request.storage, "--workers", "0"]
    return shlex.join(words)


def _worker_command(request: Request) -> str:
    words = [request.python, "-m", "kernbench", "worker", "--study", request.study, "--profile", request.profile]
    words += ["--plugin", request.plugin] if request.plugin else []
    words += [word for network in request.networks for word in ("--network", network)]
    words += ["--device", "cuda" if request.gpu else "cpu"]
    words += ["--cell-limit", request.cell_limit] if request.cell_limit else []
    return shlex.join(words)
