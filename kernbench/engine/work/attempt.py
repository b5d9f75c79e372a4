"""One attempt at a cell: its context from a claimed trial, its end in the database, its failure classed."""

import logging
import os
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from kernbench.engine.queue.draws import PUT_BACK, early_end, queued, suggest_value, unknown_names
from kernbench.engine.work.reported import Reported
from kernbench.engine.work.storing import Job, attach, store, store_failure
from kernbench.engine.work.time_limit import CellTimeoutError
from kernbench.engine.work.training_known import find_trained
from kernbench.errors import FULL, KernbenchError, StorageError, first_line
from kernbench.host.memory import advice, is_out_of_memory
from kernbench.host.processes import process_namespace, process_start
from kernbench.kernels.space import Choice
from kernbench.store.files import checkpoints
from kernbench.store.files.checkpoints import CellCheckpoints
from kernbench.store.files.scratch import scratch_folder
from kernbench.store.tables.cell_states import NAMESPACE, SUPERSEDED, is_done, this_worker
from kernbench.store.tables.optuna_rows import marked_trials
from kernbench.store.tables.optuna_tables import engine_of, study_id
from kernbench.study.cell import CellContext, Outcome, file_key
from kernbench.study.settings import Setting
from kernbench.study.study import Params, Study
from kernbench.study.tuning import DRAW, MAX_TRIALS

log = logging.getLogger("kernbench")


class CellFailedError(Exception):
    """The cell failed by itself; its class is stored, the worker goes on."""


class WrongCellError(KernbenchError):
    """A queued trial's parameters are not its cell's."""


def first_open(study: optuna.Study, cell: str) -> int:
    """Number of the one trial that may run this cell, though two coordinators may have queued it."""
    # Optuna has cached what was finished, and does not see that it counts no more
    superseded = marked_trials(engine_of(study), study_id(study), SUPERSEDED)

    def may_run(trial: FrozenTrial) -> bool:
        is_open = trial.state in (TrialState.WAITING, TrialState.RUNNING) and PUT_BACK not in trial.user_attrs
        counts = (is_open or is_done(trial)) and trial.number not in superseded
        return trial.user_attrs.get("cell") == cell and counts

    return min(trial.number for trial in study.get_trials(deepcopy=False) if may_run(trial))


def sign(job: Job, trial: optuna.Trial) -> None:
    """Note in a trial which process works on it, and how long it may."""
    trial.set_user_attr(NAMESPACE, process_namespace())  # first: without it the number would count on the whole host
    trial.set_user_attr("worker", this_worker())
    trial.set_user_attr("worker_start", process_start(os.getpid()) or "")
    if job.limit is not None:
        trial.set_user_attr("cell_limit_s", job.limit.seconds)


def checked_params(job: Job, trial: optuna.Trial, cell: str) -> Params:
    """Values of a queued trial.

    Raises:
        WrongCellError: they are not those of its cell, or a drawn one lies outside what is declared.
    """
    study, wanted = job.study, job.cells[cell]
    if study.tuning is not None and (unknown := unknown_names(study, trial)):
        raise WrongCellError(f"cell {cell}: the queue holds {', '.join(unknown)}, which the study does not know")
    params = suggest(study, trial)
    fixed = {name: value for name, value in params.items() if name not in study.tuned}
    if fixed != wanted:
        raise WrongCellError(f"cell {cell}: expected {wanted}, the queue holds {fixed}")
    for name, parameter in study.tuned.items():
        try:
            parameter.check(params[name])
        except KernbenchError as error:
            raise WrongCellError(f"cell {cell}: {name}: {error}") from None
    return params


def suggest(study: Study, trial: optuna.Trial) -> Params:
    """Values of the trial, asked for in the declared space and never in the file's, which may grow later."""
    values: Params = {}
    for name, wanted in study.axes.items():
        space = study.axis_space(name)
        if isinstance(space, Setting) and space.named and (asked := queued(trial).get(name)) not in space.options:
            values[name] = str(asked)  # of a plugin: Optuna's options cannot grow, so it is no parameter of Optuna's
        elif isinstance(space, Choice) or (isinstance(space, Setting) and space.options):
            chosen = trial.suggest_categorical(name, list(space.options))
            assert chosen is not None  # no space has None among its options
            values[name] = chosen
        elif isinstance(wanted[0], int):
            values[name] = trial.suggest_int(name, int(space.low), int(space.high))
        else:
            values[name] = trial.suggest_float(name, space.low, space.high)
    if study.tuning is not None:
        values[DRAW] = trial.suggest_int(DRAW, 0, MAX_TRIALS - 1)
        values |= {name: suggest_value(trial, name, parameter) for name, parameter in study.tuned.items()}
    values["seed"] = trial.suggest_int("seed", 0, 2**32 - 1)
    return values


def context_of(
    job: Job, trial: optuna.Trial, cell: str, params: Params, scratch: Path, over: Callable[[], bool]
) -> CellContext:
    """Where and how a claimed cell runs; it is asked to leave when the worker is, or when its time is `over`."""
    return CellContext(
        study=job.study,
        cell=cell,
        params=params,
        device=job.device,
        trial=trial.number,
        checkpoints=CellCheckpoints(job.checkpoints, file_key(job.study.key, cell), trial.number),
        scratch=scratch,
        report=lambda epoch, score: trial.report(score, epoch),
        stop=lambda: job.stop() or over(),
        observer=Reported(job.observer, job.storage, trial),
        saved=lambda epoch: trial.set_user_attr("checkpoint_epoch", epoch),
        plugin=job.found.label,
        enough=early_end(job.study, trial, params),
        trained_before=lambda: find_trained(job, trial.study, cell, params),
    )


def finish(
    job: Job, trial: optuna.Trial, context: CellContext, outcome: Outcome, started: datetime, seconds: float
) -> None:
    """Store a finished cell, drop its checkpoints, notify the observer; the caller ends the trial."""
    store(job, trial, context, outcome, started, seconds)
    checkpoints.remove(job.checkpoints, context.key)
    job.observer.cell_finished(context.cell, outcome.status, outcome.message or outcome.summary)


def judged(job: Job, error: BaseException, over: Callable[[], bool]) -> BaseException:
    """What ended an attempt: the error itself, or its time, where the worker was not asked to leave."""
    if job.limit is not None and isinstance(error, KeyboardInterrupt) and over() and not job.stop():
        return CellTimeoutError(job.limit.said).with_traceback(error.__traceback__)
    return error


def fail(job: Job, trial: optuna.Trial, cell: str, error: BaseException) -> None:
    """Store the class of a failure, its first line and its traceback, notify the observer.

    Raises:
        StorageError: it was the disk, which would fail every cell and must not count against a method.
    """
    if is_the_disk(error):
        trial.set_user_attr("error", first_line(error))
        raise StorageError(f"cell {cell} stopped: {error}; free space, then give the same command again") from error
    _record_failure(job, trial, error)
    if job.replaced and classify(error) == "oom":  # memory that the cell still holds would be missing for the next one
        job.stop.spent = True
    job.observer.cell_finished(cell, classify(error), said(job, error))


def classify(error: BaseException) -> str:
    """Failure class of an exception: interrupted, timeout, oom or error."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, CellTimeoutError):
        return "timeout"
    return "oom" if is_out_of_memory(error) else "error"


def said(job: Job, error: BaseException) -> str:
    """First line of the error; for memory that ran out, with what helps."""
    if isinstance(error, CellTimeoutError) or (isinstance(error, KeyboardInterrupt) and str(error)):
        return str(error)  # our own words: the class of the failure stands beside them
    recompute = bool(job.study.runtime.get("recompute"))
    return advice(error, job.device, recompute) if classify(error) == "oom" else first_line(error)


def is_the_disk(error: BaseException) -> bool:
    """Whether a folder or disk failed: it would fail every cell, and must not count against a method."""
    return isinstance(error, StorageError) or (isinstance(error, OSError) and error.errno in FULL)


def _record_failure(job: Job, trial: optuna.Trial, error: BaseException) -> None:
    store_failure(job, trial, classify(error), said(job, error), error)
    if isinstance(error, KeyboardInterrupt | CellTimeoutError):
        return
    try:
        with scratch_folder(job.checkpoints) as scratch:
            file = Path(scratch) / "traceback.txt"
            file.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
            attach(job, trial, file)
    except OSError as full:  # the class and the first line are stored already
        log.warning("no traceback kept for trial %d: %s", trial.number, full)
