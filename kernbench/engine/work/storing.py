"""What a worker works with, and how a finished cell is stored: files, tables, attributes, pictures, in this order."""

import logging
import math
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from sqlalchemy.exc import SQLAlchemyError

from kernbench.engine.notes import notes
from kernbench.engine.work import environment
from kernbench.engine.work.time_limit import Limit
from kernbench.errors import StorageError, counted, one_line, only_warned
from kernbench.host.files import json_digest
from kernbench.kernels.bundled import is_bundled
from kernbench.registry import Found
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.database.url import side_folder
from kernbench.store.tables import result_tables
from kernbench.store.tables.cell_states import SUPERSEDED, is_stray
from kernbench.store.tables.optuna_rows import marked_trials
from kernbench.store.tables.result_tables import ScoreRow
from kernbench.study.cell import CellContext, Observer, Outcome
from kernbench.study.columns import DASHBOARD
from kernbench.study.study import Params, Study
from kernbench.study.task import columns_shown, task

log = logging.getLogger("kernbench")

LONGEST = 1000  # characters of an error: the traceback is complete
# Attributes that the engine reads: an axis or a score of one of these names is not stored under it.
OWN = (
    *("cell", "worker", "worker_start", "worker_namespace", "cell_limit_s", "checkpoint_epoch"),
    *("status", "message", "error", "wall_s", "family", "plugin", "plugin_source", "digest", "environment"),
)


@dataclass
class StopFlag:
    """Set by SIGINT, SIGTERM and SIGHUP; read between batches and between cells.

    Attributes:
        signal: the signal's number, None while there was none.
        interrupts: while true, a signal raises KeyboardInterrupt, too: no cell is in hand yet.
        spent: whether the process is to end after the cell in hand, because another one takes its place.
    """

    signal: int | None = None
    interrupts: bool = False
    spent: bool = False

    def __call__(self) -> bool:
        """Whether to leave."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """Of the process: 130 after SIGINT, else 0."""
        return 130 if self.signal == signal.SIGINT else 0


@dataclass(frozen=True)
class Job:
    """Everything a worker needs.

    Attributes:
        study: the study.
        found: family and origin of the plugin.
        storage: open storage.
        artifacts: folder of the artifact store.
        checkpoints: folder of checkpoints.
        device: "cpu" or "cuda:0".
        compute: the task: a cell's context -> its outcome.
        observer: who shows progress.
        stop: stop flag.
        total: cells this run has queued, for the display.
        cells: cell id -> its parameters.
        limit: time of one attempt, None for as long as it takes.
        until: `time.monotonic()` after which no cell is begun.
        replaced: whether another worker is started where this one leaves while cells wait.
        said: warnings that were given already.
    """

    study: Study
    found: Found
    storage: SteadyStorage
    artifacts: Path
    checkpoints: Path
    device: str
    compute: Callable[[CellContext], Outcome]
    observer: Observer
    stop: StopFlag
    total: int
    cells: dict[str, Params] = field(default_factory=dict)
    limit: Limit | None = None
    until: float | None = None
    replaced: bool = False
    said: set[str] = field(default_factory=set)

    def warn(self, text: str) -> None:
        """One line, once: what fails for show fails for every cell."""
        if text not in self.said:
            self.said.add(text)
            self.observer.note(f"warning: {text}")

    def leaving(self) -> bool:
        """Whether no further cell is to be begun."""
        return self.stop() or self.stop.spent or (self.until is not None and time.monotonic() >= self.until)


def make_job(url: str, **others: Any) -> Job:
    """A job whose folders are beside a database, and are made.

    Args:
        url: storage URL.
        others: further fields of `Job`; Any: of several types.

    Raises:
        StorageError: a folder cannot be made.
    """
    return Job(
        artifacts=made_folder(url, "artifacts"),
        checkpoints=made_folder(url, "checkpoints"),
        **others,
    )


def store(
    job: Job, trial: optuna.Trial, context: CellContext, outcome: Outcome, started: datetime, seconds: float
) -> None:
    """Artifacts, tables, attributes, then what is made for show, in this order: a finished trial is frozen."""
    for path in outcome.artifacts:
        attach(job, trial, path)
    machine = environment.environment(job.device)
    engine = job.storage.engine
    result_tables.write_environment(engine, json_digest(machine), machine)
    for split, facts in outcome.facts.items():
        result_tables.write_split(engine, outcome.data_digest, split, facts)
    run = _run_row(job, trial, context, outcome, machine)
    run.started = started.isoformat(timespec="seconds")
    run.seconds = seconds + outcome.earlier_seconds  # training before an interruption counts
    spent = seconds if outcome.trained_as else run.seconds  # what was taken over was not computed again
    own = {"status": outcome.status, "wall_s": spent} | ({"message": outcome.message} if outcome.message else {})
    note = ""
    with only_warned("a note for the dashboard was not written", job.warn):
        note = notes.of_finished(job.study, run, outcome, machine)
    if not result_tables.write_run(engine, run, _score_rows(job.study.key, context.cell, outcome)):
        log.warning("cell %s: a newer attempt has stored its scores; this one is late", context.cell)
    _set_attributes(job, trial, {**outcome.attributes, **_shown(outcome)}, own)
    _attach_pictures(job, trial, outcome)
    if note:
        notes.save(trial, note)
    notes.save_study(trial.study, job.study, engine)


def _attach_pictures(job: Job, trial: optuna.Trial, outcome: Outcome) -> None:
    """Draw and attach the pictures of a cell; what fails is a warning, unless the database or the disk is gone."""
    gone = (optuna.exceptions.OptunaError, SQLAlchemyError, StorageError)
    with only_warned("pictures of a cell are missing, its scores are stored", job.warn, but=gone):
        for path in outcome.draw():
            attach(job, trial, path)


def attach(job: Job, trial: optuna.Trial, path: Path) -> None:
    """Copy a file into the artifact folder, for a trial."""
    folder = FileSystemArtifactStore(str(job.artifacts))
    upload_artifact(artifact_store=folder, file_path=str(path), study_or_trial=trial)


def store_failure(job: Job, trial: optuna.Trial, status: str, said: str, error: BaseException) -> None:
    """Attributes and note of a trial that fails; the caller ends it.

    Args:
        job: what the worker works with.
        trial: the claimed one.
        status: class of the failure.
        said: what happened, one line.
        error: what ended it.
    """
    cell, started = str(trial.user_attrs["cell"]), trial.datetime_start
    params = job.cells.get(cell, {})
    own: dict[str, Any] = {"status": status, "error": said if len(said) <= LONGEST else f"{said[:LONGEST]}…"}
    if started is not None:
        own["wall_s"] = (datetime.now() - started).total_seconds()  # Optuna writes local time without a zone
    machine = environment.environment(job.device)
    own |= {"environment": json_digest(machine), "plugin": job.found.label}
    own |= {"plugin_source": environment.source_digest(job.found.family)}
    _set_attributes(job, trial, params, own)
    result_tables.write_environment(job.storage.engine, json_digest(machine), machine)
    notes.save(trial, notes.of_failed(job.study, cell, params, status, error, machine, job.found.label))


def _set_attributes(job: Job, trial: optuna.Trial, others: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Scalars for the dashboard; a column of its table sorts where every value is a number, so others are left out."""
    facts = {**own, "family": job.found.family.name, "digest": job.study.digest}
    for name, value in (facts | {name: value for name, value in others.items() if name not in OWN}).items():
        if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
            trial.set_user_attr(name, _readable(value) if isinstance(value, float) else value)


def _shown(outcome: Outcome) -> dict[str, Any]:
    """Declared numbers of the cell under their names on the dashboard, and its epochs."""
    values = {column.attribute_name: outcome.values.get(column.name) for column in columns_shown(DASHBOARD)}
    values |= {"epochs": outcome.epochs, "resumed": outcome.resumed_from, "plateau": outcome.plateau}
    return {name: value for name, value in values.items() if value is not None}


def _details(job: Job, outcome: Outcome) -> dict[str, Any]:
    """What the run table keeps as JSON: scores that reports read, and what explains the cell."""
    scores = {"matched": outcome.matched, "curve": outcome.curve, "summary": outcome.summary}
    return {name: value for name, value in scores.items() if value} | {
        **outcome.details,
        "plateau": outcome.plateau,
        result_tables.EARLIER: outcome.earlier_seconds,
        **({result_tables.TRAINED_AS: outcome.trained_as} if outcome.trained_as else {}),
        "runtime": dict(job.study.runtime),
        "plugin_source": environment.source_digest(job.found.family),
    }


def _readable(value: float) -> int | float:
    """A number for people, six digits of it where it has a fraction; the result tables keep all digits."""
    return int(value) if value.is_integer() else float(f"{value:.6g}")


def _run_row(
    job: Job, trial: optuna.Trial, context: CellContext, outcome: Outcome, machine: Mapping[str, Any]
) -> result_tables.RunRow:
    trials = trial.study.get_trials(deepcopy=False)
    tried = [t for t in trials if t.user_attrs.get("cell") == context.cell and not is_stray(t)]
    return result_tables.RunRow(
        study=job.study.key,
        cell=context.cell,
        trial=trial.number,
        status=outcome.status,
        message=one_line(outcome.message, 1000),
        family=job.found.family.name,
        params=dict(context.params),
        plugin=one_line(job.found.label, 250),
        kernbench_version=machine["packages"]["kernbench"] or "unknown",
        digest=job.study.digest,
        data_digest=outcome.data_digest,
        environment=json_digest(machine),
        seeds=dict(outcome.seeds),
        device=job.device,
        threads=torch.get_num_threads(),
        thresholds={split: counts.thresholds.tolist() for split, counts in outcome.scores.items()},
        attempts=len(tried),
        tolerance=context.tolerance if outcome.tolerance is None else outcome.tolerance,
        epochs=outcome.epochs,
        resumed_from=outcome.resumed_from,
        details=_details(job, outcome),
        **{column.name: outcome.values.get(column.name) for column in task().columns},
    )


def _score_rows(study: str, cell: str, outcome: Outcome) -> list[ScoreRow]:
    rows = []
    for split, counts in outcome.scores.items():
        for (t, i), tp in np.ndenumerate(counts.tp):
            place = {"study": study, "cell": cell, "split": split, "signal": i, "tolerance": t}
            rows.append(ScoreRow(**place, tp=int(tp), fp=int(counts.fp[t, i]), fn=int(counts.fn[t, i])))
    return rows


def made_folder(url: str, kind: str) -> Path:
    """Folder beside the database, made if it is not there.

    Raises:
        StorageError: it cannot be made.
    """
    folder = side_folder(url, kind)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{kind} folder {folder} cannot be made: {error.strerror}; give another --storage"
        ) from error
    return folder


def note_other_plugins(storage: SteadyStorage, study: Study, found: Found, observer: Observer) -> None:
    """Warn of stored cells that another version of the plugin has made."""
    put_back = marked_trials(storage.engine, storage.get_study_id_from_name(study.key), SUPERSEDED)
    others = result_tables.plugins_of(storage.engine, study.key, put_back)
    if is_bundled(found.label):  # other releases have made the same kernels
        others = {plugin: count for plugin, count in others.items() if not is_bundled(plugin)}
    others.pop(found.label, None)
    for plugin, count in others.items():
        observer.note(
            f"warning: {counted(count, 'stored cell')} of {study.key} made with {plugin}, the plugin is now "
            f"{found.label}; what is stored is kept: `kernbench cells redo` puts it back to be trained again"
        )
