"""The queue of a study: cells enter complete and tagged, return when cut off, leave when the study drops them."""

import json
from collections.abc import Collection, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from kernbench.engine.queue.draws import queued_values
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.tables import optuna_rows
from kernbench.store.tables.cell_states import cell_states, worker_is_gone
from kernbench.store.tables.optuna_tables import engine_of, read_trials, study_id, trial_id
from kernbench.study.study import Study


def enqueue_all(optuna_study: optuna.Study, study: Study, cells: Sequence[str]) -> None:
    """Queue cells in this order, all or none, each tagged, so that nothing but the cell is ever run.

    A cell that waits already stays where it is: two workers that leave concurrently both see what both have left.
    """
    if not cells:
        return
    attempts: dict[str, list[FrozenTrial]] = {}
    for trial in read_trials(optuna_study) if study.tuning is not None else []:
        attempts.setdefault(str(trial.user_attrs.get("cell")), []).append(trial)
    values = [queued_values(study, attempts.get(cell, []), cell) for cell in cells]
    optuna_rows.queue(engine_of(optuna_study), study_id(optuna_study), cells, values)


def requeue(optuna_study: optuna.Study, study: Study, cells: Collection[str]) -> list[str]:
    """Queue what may be tried again by itself: cells never tried, interrupted, or killed and not held.

    Args:
        optuna_study: Optuna's.
        study: the study.
        cells: those to look at.

    Returns:
        What was queued.
    """
    asked = asked_for(optuna_study)  # another process may have dropped some since this one began
    states = cell_states([cell for cell in cells if asked is None or cell in asked], read_trials(optuna_study))
    queued = [state.cell for state in states if state.retry and state.state != "lost"]
    enqueue_all(optuna_study, study, queued)
    return queued


def give_back(optuna_study: optuna.Study, study: Study, cells: Collection[str]) -> None:
    """Queue interrupted cells again, so that any worker can take them up."""
    states = cell_states(cells, read_trials(optuna_study))
    interrupted = [s.cell for s in states if s.state == "failed" and s.detail.startswith("interrupted")]
    enqueue_all(optuna_study, study, interrupted)


def anything_waits(optuna_study: optuna.Study, cells: Collection[str]) -> bool:
    """Whether one of these cells is in the queue."""
    return not waiting_cells(optuna_study).isdisjoint(cells)


def waiting_cells(optuna_study: optuna.Study) -> set[str]:
    """Cells in the queue."""
    return optuna_rows.waiting_cells(engine_of(optuna_study), study_id(optuna_study))


def is_asked_for(optuna_study: optuna.Study, cell: str) -> bool:
    """Whether any run of a study has asked for a cell by now, and it was not dropped since."""
    return cell in (asked_for(optuna_study) or ())


def asked_for(optuna_study: optuna.Study) -> set[str] | None:
    """Cells that were asked for and not dropped; None where the study does not say."""
    known = optuna_study.user_attrs.get("cells")
    return None if known is None else set(json.loads(known))


def drop_unasked(optuna_study: optuna.Study, storage: SteadyStorage, cells: Collection[str]) -> None:
    """Take cells out of the queue that the study's file no longer asks for; they are missing again should it do so.

    While others work on the study nothing is taken: what waits may be theirs.
    """
    trials = read_trials(optuna_study)
    if any(trial.state == TrialState.RUNNING and not worker_is_gone(trial) for trial in trials):
        return
    for trial in trials:
        cell = trial.user_attrs.get("cell")
        if trial.state != TrialState.WAITING:
            continue
        # only what we hold ourselves may be ended
        if cell is not None and cell not in cells and claim(storage, trial_id(trial)):
            optuna_study.tell(trial.number, state=TrialState.PRUNED, skip_if_finished=True)


def claim(storage: SteadyStorage, trial_id: int) -> bool:
    """Take a waiting trial; false when another process was faster."""
    try:
        return storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    except optuna.exceptions.UpdateFinishedTrialError:  # and has ended it
        return False
