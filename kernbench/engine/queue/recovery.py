"""Trials that their workers left behind: found, failed, and so open for the next attempt."""

from collections.abc import Collection, Iterable
from contextlib import suppress

import optuna
from optuna.trial import FrozenTrial, TrialState

from kernbench.engine.notes import notes
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.tables.cell_states import worker_is_gone
from kernbench.store.tables.liveness import never_heard
from kernbench.store.tables.optuna_tables import read_trials, storage_of, trial_id
from kernbench.study.cell import Observer


def recover(
    study: optuna.Study, storage: SteadyStorage, grace_s: int, observer: Observer, but: Collection[str] = ()
) -> None:
    """Fail RUNNING trials whose worker has ended: silent too long, dead on this host, or killed before its first beat.

    Args:
        study: Optuna's.
        storage: its storage.
        grace_s: seconds until a silent trial counts as lost.
        observer: is notified of each.
        but: workers that the caller handles by itself, because it knows more about how they ended.
    """
    running = [trial for trial in read_trials(study) if trial.state == TrialState.RUNNING]
    optuna.storages.fail_stale_trials(study)
    silent = set() if storage.just_back() else never_heard(storage.engine, grace_s)
    for trial in running:
        ours = trial.user_attrs.get("worker") in but
        if (worker_is_gone(trial) and not ours) or trial_id(trial) in silent:
            # two coordinators may find the same trial
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        else:
            now = storage.get_trial(trial_id(trial))
            if now.state != TrialState.FAIL or "family" in now.user_attrs:  # it runs, or has failed by itself just now
                continue
        notes.save_lost(study, trial_id(trial))
        cell, worker = trial.user_attrs.get("cell", "?"), trial.user_attrs.get("worker", "")
        observer.note(f"cell {cell}: its worker {worker} has ended; the cell is queued again")


def fail_attempts(study: optuna.Study, trials: Iterable[FrozenTrial], **attributes: str) -> None:
    """Fail RUNNING trials of a worker that is known to have ended.

    Args:
        study: Optuna's.
        trials: its trials.
        attributes: to store with each: `error`, and `status` where it is known; without one it was killed.
    """
    for trial in trials:
        with suppress(optuna.exceptions.UpdateFinishedTrialError):  # another coordinator was faster
            for name, value in attributes.items():
                storage_of(study).set_trial_user_attr(trial_id(trial), name, value)
        study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        notes.save_lost(study, trial_id(trial))
