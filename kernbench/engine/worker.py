"""One worker: claims waiting cells one by one through Optuna, runs them, stores their records."""

import logging
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from kernbench.engine.attempt import (
    CellFailedError,
    WrongCellError,
    checked_params,
    context_of,
    fail,
    finish,
    first_open,
    sign,
)
from kernbench.engine.record import Job, StopFlag
from kernbench.engine.together import work_together
from kernbench.memory import release

log = logging.getLogger("kernbench")


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
        return _objective(study, job, trial, claimed)

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


def _objective(study: optuna.Study, job: Job, trial: optuna.Trial, claimed: list[int]) -> float:
    cell = trial.user_attrs.get("cell")
    if cell is None:  # queue empty: Optuna made a trial of its own
        study.stop()
        raise optuna.TrialPruned("no cell")
    if trial.number != first_open(study, cell):
        raise optuna.TrialPruned("duplicate")
    if cell not in job.cells:  # queued when the study file had more cells; missing again should they come back
        raise optuna.TrialPruned("not asked for")
    sign(trial)
    if job.stack > 1:
        return work_together(study, job, trial, claimed)
    job.observer.cell_started(cell, len(claimed), max(job.total, len(claimed)))
    try:
        return _attempt(job, trial, cell)
    except (optuna.exceptions.OptunaError, SQLAlchemyError):  # trial taken away, storage down: not the cell's doing
        raise
    except BaseException as error:  # SystemExit too: it would leave the trial RUNNING
        fail(job, trial, cell, error)
        if isinstance(error, KeyboardInterrupt):
            raise
        release(error)
        raise CellFailedError(f"cell {cell}: {error}") from error


def _attempt(job: Job, trial: optuna.Trial, cell: str) -> float:
    started, clock = datetime.now(UTC), time.monotonic()
    params = checked_params(job, trial, cell)
    with tempfile.TemporaryDirectory(prefix="kernbench-") as scratch:
        context = context_of(job, trial, cell, params, Path(scratch))
        outcome = job.compute(context)
        finish(job, trial, context, outcome, started, time.monotonic() - clock)
    return outcome.value
