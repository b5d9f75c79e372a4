"""The queue of a study: cells go in whole and tagged, come back when cut off, leave when not asked for."""

from collections.abc import Collection

import optuna
from optuna.trial import TrialState

from kernbench.engine.sampling import queued_values
from kernbench.engine.states import cell_states
from kernbench.engine.steady import SteadyStorage
from kernbench.engine.study import Study


def enqueue(optuna_study: optuna.Study, study: Study, cell: str) -> None:
    """Queue one cell, tagged, so that nothing but the cell is ever run."""
    trials = optuna_study.get_trials(deepcopy=False) if study.tuning is not None else []
    optuna_study.enqueue_trial(queued_values(study, trials, cell), user_attrs={"cell": cell})


def requeue(optuna_study: optuna.Study, study: Study, cells: Collection[str]) -> list[str]:
    """Queue what may be tried again by itself: cells never tried, interrupted, or killed and not held.

    Args:
        optuna_study: Optuna's.
        study: the study.
        cells: those to look at.

    Returns:
        What was queued.
    """
    states = cell_states(cells, optuna_study.get_trials(deepcopy=False))
    queued = [state.cell for state in states if state.retry and state.state != "lost"]
    for cell in queued:
        enqueue(optuna_study, study, cell)
    return queued


def give_back(optuna_study: optuna.Study, study: Study, cells: Collection[str]) -> None:
    """Queue interrupted cells again, so that any worker can take them up."""
    for state in cell_states(cells, optuna_study.get_trials(deepcopy=False)):
        if state.state == "failed" and state.detail.startswith("interrupted"):
            enqueue(optuna_study, study, state.cell)


def drop_unasked(optuna_study: optuna.Study, storage: SteadyStorage, cells: Collection[str]) -> None:
    """Take cells out of the queue that the study's file no longer asks for; they are missing again should it do so."""
    for trial in optuna_study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        cell = trial.user_attrs.get("cell")
        # only what we hold ourselves may be ended
        if cell is not None and cell not in cells and claim(storage, trial._trial_id):
            optuna_study.tell(trial.number, state=TrialState.PRUNED, skip_if_finished=True)


def claim(storage: SteadyStorage, trial_id: int) -> bool:
    """Take a waiting trial; false when somebody else was faster."""
    try:
        return storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    except optuna.exceptions.UpdateFinishedTrialError:  # and has ended it
        return False
