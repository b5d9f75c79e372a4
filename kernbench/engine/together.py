"""Cells that differ in their seed only: claimed by one worker, computed at once, each ended for itself."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from kernbench.engine import queueing
from kernbench.engine.attempt import (
    CellFailedError,
    checked_params,
    context_of,
    fail,
    finish,
    first_open,
    judged,
    sign,
)
from kernbench.engine.cell import CellContext, Outcome, Silent
from kernbench.engine.limits import time_limit
from kernbench.engine.record import Job
from kernbench.engine.scratch import scratch_folder
from kernbench.memory import release

log = logging.getLogger("kernbench")


@dataclass(eq=False)
class Claim:
    """A cell that this worker has claimed.

    Attributes:
        trial: its running trial.
        cell: its id.
        own: whether Optuna's loop ends the trial, as it does for the first of a group; the others are told here.
        context: where and how it runs.
        ended: its value or what ended it, None while it is open.
    """

    trial: optuna.Trial
    cell: str
    own: bool
    context: CellContext | None = None
    ended: float | BaseException | None = None


def work_together(study: optuna.Study, job: Job, trial: optuna.Trial, claimed: list[int]) -> float:
    """Claim the waiting cells that differ from this one in their seed only, compute all, end all.

    Args:
        study: Optuna's.
        job: with `compute_together`, and how many cells at most.
        trial: the claimed one, which Optuna's loop ends.
        claimed: trial numbers of this worker; those of the others are put before the last.

    Returns:
        The value of the first cell.

    Raises:
        CellFailedError: the first cell failed; its class is stored.
        KeyboardInterrupt: stopped while the first cell was open; so is every open cell.
        StorageError: a disk failed.
    """
    first = Claim(trial, trial.user_attrs["cell"], own=True)
    position = len(claimed)
    claims = [first, *_siblings(study, job, first.cell)]
    limit = job.limit and replace(job.limit, cells=len(claims))
    if limit is not None:  # its coordinator goes by this
        for claim in claims:
            claim.trial.set_user_attr("cell_limit_s", limit.whole)
    claimed[-1:-1] = [claim.trial.number for claim in claims[1:]]
    for place, claim in enumerate(claims):
        job.observer.cell_started(claim.cell, position + place, max(job.total, position + place))
    clock = job.storage.outages.clock
    started, began = datetime.now(UTC), clock()
    with ExitStack() as stack:
        stack.enter_context(_beating(job, [claim.trial for claim in claims[1:]]))
        running = [claim.trial for claim in claims]
        over = stack.enter_context(time_limit(limit, job.storage, running, job.observer.note))
        try:
            ready = _prepared(study, job, claims, stack, over)
            if ready:
                assert job.compute_together is not None  # jobs that stack have it
                for place, result in job.compute_together([claim.context for claim in ready if claim.context]):
                    seconds = (clock() - began) / len(ready)  # of the wall time that they shared
                    _end(study, job, ready[place], result, started, seconds)
        except (optuna.exceptions.OptunaError, SQLAlchemyError):  # storage down: not the cells' doing
            raise
        except BaseException as raised:  # SystemExit too: it would leave the trials RUNNING
            error = judged(job, raised, over)
            for claim in claims:
                if claim.ended is None:
                    _failed(study, job, claim, error)
            if isinstance(error, KeyboardInterrupt) and job.stop.signal is None:
                job.stop.signal = signal.SIGINT  # the first cell may have ended well: the worker leaves after it
    return _told(first)


def _siblings(study: optuna.Study, job: Job, cell: str) -> list[Claim]:
    """Waiting cells like this one but for the seed, claimed."""
    found: list[Claim] = []
    wanted = _but_seed(job, cell)
    for waiting in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        other = waiting.user_attrs.get("cell")
        if len(found) + 1 >= job.stack:
            break
        if other == cell or other not in job.cells or _but_seed(job, other) != wanted:
            continue
        if waiting.number == first_open(study, other) and queueing.claim(job.storage, waiting._trial_id):
            trial = optuna.Trial(study, waiting._trial_id)
            sign(job, trial)
            found.append(Claim(trial, other, own=False))
    return found


def _but_seed(job: Job, cell: str) -> dict[str, object]:
    return {name: value for name, value in job.cells[cell].items() if name != "seed"}


def _prepared(
    study: optuna.Study, job: Job, claims: Sequence[Claim], stack: ExitStack, over: Callable[[], bool]
) -> list[Claim]:
    """Claims whose trial holds what its cell says, with a context; the others have failed."""
    for claim in claims:
        try:
            params = checked_params(job, claim.trial, claim.cell)
        except optuna.exceptions.OptunaError:
            raise
        except Exception as error:
            _failed(study, job, claim, error)
            continue
        scratch = stack.enter_context(scratch_folder(job.checkpoints))
        context = context_of(job, claim.trial, claim.cell, params, Path(scratch), over)
        # epochs of one cell are shown; those of the others are the same in number
        claim.context = context if claim.own else replace(context, observer=Silent())
    return [claim for claim in claims if claim.context is not None]


def _end(
    study: optuna.Study, job: Job, claim: Claim, result: Outcome | BaseException, started: datetime, seconds: float
) -> None:
    if isinstance(result, BaseException):
        _failed(study, job, claim, result)
        return
    assert claim.context is not None
    try:
        own = float(result.details.get("own_seconds", seconds))
        finish(job, claim.trial, claim.context, result, started, own)
    except optuna.exceptions.UpdateFinishedTrialError:
        if claim.own:
            raise
        log.warning("trial %d was failed by another process; its result is dropped", claim.trial.number)
    claim.ended = result.value
    if not claim.own:
        study.tell(claim.trial.number, result.value, skip_if_finished=True)


def _failed(study: optuna.Study, job: Job, claim: Claim, error: BaseException) -> None:
    claim.ended = error
    try:
        fail(job, claim.trial, claim.cell, error)
    finally:
        if not claim.own:
            study.tell(claim.trial.number, state=TrialState.FAIL, skip_if_finished=True)
    if not isinstance(error, KeyboardInterrupt):
        release(error)


def _told(first: Claim) -> float:
    """What Optuna's loop is told of the first cell."""
    if isinstance(first.ended, KeyboardInterrupt):
        raise first.ended
    if isinstance(first.ended, BaseException):
        raise CellFailedError(f"cell {first.cell}: {first.ended}") from first.ended
    assert first.ended is not None  # every claim has ended by now
    return first.ended


@contextmanager
def _beating(job: Job, trials: Sequence[optuna.Trial]) -> Iterator[None]:
    """Heartbeats for trials that Optuna's loop does not know of."""
    interval = job.storage.get_heartbeat_interval()
    if not trials or interval is None:
        yield
        return
    over = threading.Event()

    def beat() -> None:
        while not over.wait(interval):
            for trial in trials:
                job.storage.record_heartbeat(trial._trial_id)

    thread = threading.Thread(target=beat, name="kernbench-heartbeats", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
