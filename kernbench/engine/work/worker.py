"""One worker: claims waiting cells one by one through Optuna, runs them, stores their records."""

import functools
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from kernbench.engine.queue.draws import DrawingSampler, out_of_turn, put_back
from kernbench.engine.queue.queueing import anything_waits, give_back, is_asked_for
from kernbench.engine.work import environment
from kernbench.engine.work.attempt import (
    CellFailedError,
    WrongCellError,
    checked_params,
    context_of,
    fail,
    finish,
    first_open,
    judged,
    sign,
)
from kernbench.engine.work.storing import Job, StopFlag
from kernbench.engine.work.time_limit import time_limit
from kernbench.host.memory import release
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.files.scratch import remove_abandoned, scratch_folder
from kernbench.study.cell import PRUNED

log = logging.getLogger("kernbench")


class RefusingSampler(optuna.samplers.RandomSampler):
    """A grid study never samples: a parameter missing from the queued cell is an error, not a random draw."""

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        """Refuse."""
        raise WrongCellError(f"trial {trial.number} has no value for {param_name!r}; its queue entry is incomplete")


def opened_study(key: str, storage: SteadyStorage) -> optuna.Study:
    """A stored study of this key, which samples nothing and ends no trial early."""
    return optuna.load_study(
        study_name=key, storage=storage, sampler=RefusingSampler(seed=0), pruner=optuna.pruners.NopPruner()
    )


@contextmanager
def handling(note: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call `note` for SIGINT, SIGTERM and a SIGHUP that nohup has not silenced; only the main thread has signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

    def hear(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:  # one terminal that closes may send several: of its own, and of its shell
            signal.signal(number, signal.SIG_IGN)
        note(number, frame)

    old = {number: signal.signal(number, hear) for number in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Turn SIGINT, SIGTERM and SIGHUP into a flag; a second SIGINT or SIGTERM acts immediately."""
    flag = StopFlag()

    def note(number: int, _frame: FrameType | None) -> None:
        # While cells run only a flag: a handler that raises could hit Optuna while it writes a trial.
        flag.signal = number
        if number != signal.SIGHUP:
            signal.signal(number, signal.SIG_DFL)
        if flag.interrupts:
            raise KeyboardInterrupt

    with handling(note):
        yield flag


def work(study: optuna.Study, job: Job) -> None:
    """Run waiting cells until none is left or the stop flag is set.

    Raises:
        KeyboardInterrupt: stopped by a signal; the cell in hand is queued again by the caller.
        StorageError: a folder or disk failed; the cell in hand is taken up by the next run.
    """
    claimed: list[int] = []
    environment.remember(job.found.family)
    if job.study.tuning is not None:
        study.sampler = DrawingSampler(job.study, RefusingSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        claimed.append(trial.number)
        return _objective(study, job, trial, claimed)

    def stop_when_empty(study: optuna.Study, _trial: optuna.trial.FrozenTrial) -> None:
        if job.leaving() or not anything_waits(study, job.cells):
            study.stop()

    while True:
        try:
            study.optimize(objective, catch=(CellFailedError,), callbacks=[stop_when_empty])
        except (ValueError, AssertionError):  # what Optuna raises for a trial that it may not finish
            if not claimed or study.get_trials(deepcopy=False)[claimed[-1]].state != TrialState.FAIL:
                raise
            log.warning("trial %d was failed by another process; its result is dropped", claimed[-1])
            if job.leaving():
                return
        else:
            return


def work_and_give_back(study: optuna.Study, job: Job, prepare: Callable[[], None]) -> int:
    """Prepare, run waiting cells until none is left or a signal comes, give the cell in hand back then.

    Returns:
        Exit code: 0, or 130 after SIGINT.

    Raises:
        StorageError: see `work`.
    """
    remove_abandoned(job.checkpoints)
    try:
        if prepared(job.stop, prepare):
            work(study, job)
    except KeyboardInterrupt:
        if not job.stop():
            raise
    if job.stop():
        give_back(study, job.study, job.cells)
    return job.stop.exit_code


def prepared(stop: StopFlag, prepare: Callable[[], None]) -> bool:
    """Make the data, which may take minutes: a signal ends it immediately. Whether there was none."""
    try:
        stop.interrupts = True
        prepare()
        stop.interrupts = False
    except KeyboardInterrupt:
        stop.interrupts = False
        if not stop():
            raise
    return not stop()


def _objective(study: optuna.Study, job: Job, trial: optuna.Trial, claimed: list[int]) -> float:
    cell = trial.user_attrs.get("cell")
    if cell is None:  # queue empty: Optuna made a trial of its own
        study.stop()
        raise optuna.TrialPruned("no cell")
    if trial.number != first_open(study, cell):
        raise optuna.TrialPruned("duplicate")
    if cell not in job.cells:
        claimed.pop()  # it was not begun, and does not count
        if not is_asked_for(study, cell):
            raise optuna.TrialPruned("not in the study")
        put_back(study, trial)  # another run has added it, or has another study file: that run still needs it
        raise optuna.TrialPruned("left to others")
    if job.study.tuning is not None and out_of_turn(job.study, study.get_trials(deepcopy=False), cell, job.cells):
        put_back(study, trial)
        claimed.pop()  # it was not begun, and does not count
        raise optuna.TrialPruned("a draw before it waits")
    sign(job, trial)
    job.observer.cell_started(cell, len(claimed), max(job.total, len(claimed)))
    timed_out = functools.partial(job.observer.cell_finished, cell, "timeout")
    with time_limit(job.limit, job.storage, trial, timed_out) as over:
        try:
            return _attempt(job, trial, cell, over)
        except (optuna.exceptions.OptunaError, SQLAlchemyError):  # taken away, or no storage: not its fault
            raise
        except BaseException as raised:  # SystemExit too: it would leave the trial RUNNING
            error = judged(job, raised, over)
            fail(job, trial, cell, error)
            if isinstance(error, KeyboardInterrupt):
                raise
            release(error)
            raise CellFailedError(f"cell {cell}: {error}") from error


def _attempt(job: Job, trial: optuna.Trial, cell: str, over: Callable[[], bool]) -> float:
    clock = job.storage.outages.clock
    started, began = datetime.now(UTC), clock()
    params = checked_params(job, trial, cell)
    with scratch_folder(job.checkpoints) as scratch:
        context = context_of(job, trial, cell, params, Path(scratch), over)
        outcome = job.compute(context)
        finish(job, trial, context, outcome, started, clock() - began)
    if outcome.status == PRUNED:
        raise optuna.TrialPruned(outcome.message)
    return outcome.value
