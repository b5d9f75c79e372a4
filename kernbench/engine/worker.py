"""One worker: claims waiting cells one by one through Optuna, runs them, stores their records."""

import errno
import logging
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import optuna
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from kernbench import checkpoint
from kernbench.engine.cell import CellContext
from kernbench.engine.record import Job, StopFlag, store
from kernbench.engine.states import process_start, this_worker
from kernbench.engine.study import Params, Study
from kernbench.errors import KernbenchError, StorageError, first_line
from kernbench.kernels.space import Choice
from kernbench.memory import advice, is_out_of_memory, release
from kernbench.settings import Setting

log = logging.getLogger("kernbench")


class CellFailedError(Exception):
    """The cell failed by itself; its class is stored, the worker goes on."""


class WrongCellError(KernbenchError):
    """A queued trial's parameters are not its cell's."""


class RefusingSampler(optuna.samplers.RandomSampler):
    """A grid study never samples: a parameter missing from the queued cell is an error, not a random draw."""

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        """Refuse."""
        raise WrongCellError(f"trial {trial.number} has no value for {param_name!r}; the cell was not queued whole")


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Turn SIGINT and SIGTERM into a flag; a second signal of the same kind acts at once."""
    flag = StopFlag()

    def note(number: int, _frame: FrameType | None) -> None:
        # While cells run only a flag: a handler that raises could hit Optuna while it tells a trial.
        flag.signal = number
        signal.signal(number, signal.SIG_DFL)
        if flag.at_once:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def work(study: optuna.Study, job: Job) -> None:
    """Run waiting cells until none is left or the stop flag is set.

    Raises:
        KeyboardInterrupt: stopped by a signal; the cell in hand is queued again by the caller.
        StorageError: a folder or disk failed; the cell in hand is taken up by the next run.
    """
    claimed: list[int] = []

    def objective(trial: optuna.Trial) -> float:
        claimed.append(trial.number)
        return _objective(study, job, trial, len(claimed))

    def stop_when_empty(study: optuna.Study, _trial: optuna.trial.FrozenTrial) -> None:
        if job.stop() or not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.stop()

    while True:
        try:
            study.optimize(objective, catch=(CellFailedError,), callbacks=[stop_when_empty])
        except (ValueError, AssertionError):  # what Optuna raises for a trial that it may not finish
            if not claimed or study.get_trials(deepcopy=False)[claimed[-1]].state != TrialState.FAIL:
                raise
            log.warning("trial %d was failed by another process; its result is dropped", claimed[-1])
        else:
            return


def first_open(study: optuna.Study, cell: str) -> int:
    """Number of the one trial that may run this cell, though two coordinators may have queued it."""
    open_or_done = (TrialState.COMPLETE, TrialState.WAITING, TrialState.RUNNING)
    trials = study.get_trials(deepcopy=False, states=open_or_done)
    return min(trial.number for trial in trials if trial.user_attrs.get("cell") == cell)


def _objective(study: optuna.Study, job: Job, trial: optuna.Trial, position: int) -> float:
    cell = trial.user_attrs.get("cell")
    if cell is None:  # queue empty: Optuna made a trial of its own
        study.stop()
        raise optuna.TrialPruned("no cell")
    if trial.number != first_open(study, cell):
        raise optuna.TrialPruned("duplicate")
    if cell not in job.cells:  # queued when the study file had more cells; missing again should they come back
        raise optuna.TrialPruned("not asked for")
    trial.set_user_attr("worker", this_worker())
    trial.set_user_attr("worker_start", process_start(int(this_worker().rpartition(":")[2])) or "")
    job.observer.cell_started(cell, position, max(job.total, position))
    try:
        params = suggest(job.study, trial)
        if params != job.cells[cell]:
            raise WrongCellError(f"cell {cell}: expected {job.cells[cell]}, the queue holds {params}")
        return _attempt(job, trial, cell, params)
    except (optuna.exceptions.OptunaError, SQLAlchemyError):  # trial taken away, storage down: not the cell's doing
        raise
    except BaseException as error:  # SystemExit too: it would leave the trial RUNNING
        if _is_the_disk(error):
            trial.set_user_attr("error", first_line(error))
            raise StorageError(f"cell {cell} stopped: {error}; free space, then the same command goes on") from error
        _record_failure(job, trial, error)
        job.observer.cell_finished(cell, classify(error), _said(job, error))
        if isinstance(error, KeyboardInterrupt):
            raise
        release(error)
        raise CellFailedError(f"cell {cell}: {error}") from error


def suggest(study: Study, trial: optuna.Trial) -> Params:
    """Values of the trial, asked for in the declared space and never in the file's, which may grow later."""
    values: Params = {}
    for name, wanted in study.axes.items():
        space = study.axis_space(name)
        if isinstance(space, Choice) or (isinstance(space, Setting) and space.options):
            chosen = trial.suggest_categorical(name, list(space.options))
            assert chosen is not None  # no space has None among its options
            values[name] = chosen
        elif isinstance(wanted[0], int):
            values[name] = trial.suggest_int(name, int(space.low), int(space.high))
        else:
            values[name] = trial.suggest_float(name, space.low, space.high)
    values["seed"] = trial.suggest_int("seed", 0, 2**32 - 1)
    return values


def _attempt(job: Job, trial: optuna.Trial, cell: str, params: Params) -> float:
    started, clock = datetime.now(UTC), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kernbench-") as scratch:
        context = CellContext(
            study=job.study,
            cell=cell,
            params=params,
            device=job.device,
            trial=trial.number,
            checkpoints=job.checkpoints,
            scratch=Path(scratch),
            report=lambda epoch, score: trial.report(score, epoch),
            stop=job.stop,
            observer=job.observer,
            saved=lambda epoch: trial.set_user_attr("checkpoint_epoch", epoch),
            plugin=job.found.label,
        )
        outcome = job.compute(context)
        store(job, trial, context, outcome, started, time.monotonic() - clock)
    checkpoint.remove(job.checkpoints, context.key)
    summary = outcome.message or str(outcome.details.get("summary", ""))
    job.observer.cell_finished(cell, outcome.status, summary)
    return outcome.value


def classify(error: BaseException) -> str:
    """Failure class of an exception: interrupted, oom or error."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return "oom" if is_out_of_memory(error) else "error"


def _said(job: Job, error: BaseException) -> str:
    """First line of the error; for memory that ran out, with what helps."""
    recompute = bool(job.study.runtime.get("recompute"))
    return advice(error, job.device, recompute) if classify(error) == "oom" else first_line(error)


def _is_the_disk(error: BaseException) -> bool:
    """Whether a folder or disk failed: it would fail every cell, and must not count against a method."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return isinstance(error, StorageError) or (isinstance(error, OSError) and error.errno in full)


def _record_failure(job: Job, trial: optuna.Trial, error: BaseException) -> None:
    trial.set_user_attr("status", classify(error))
    trial.set_user_attr("error", _said(job, error))
    if isinstance(error, KeyboardInterrupt):
        return
    try:
        with tempfile.TemporaryDirectory(prefix="kernbench-") as scratch:
            file = Path(scratch) / "traceback.txt"
            file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            store = FileSystemArtifactStore(str(job.artifacts))
            upload_artifact(artifact_store=store, file_path=str(file), study_or_trial=trial)
    except OSError as full:  # the class and the first line are stored already
        log.warning("no traceback kept for trial %d: %s", trial.number, full)
