"""Trials that their workers left behind: found, failed, and so open for the next attempt."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import DateTime, Engine, bindparam, text

from kernbench.engine.notes import notes
from kernbench.store.database.outage import outlasting
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.tables.cell_states import worker_is_gone
from kernbench.store.tables.optuna_tables import read_trials
from kernbench.study.cell import Observer


def recover(
    study: optuna.Study, storage: SteadyStorage, grace_s: int, observer: Observer, but: Collection[str] = ()
) -> None:
    """Fail RUNNING trials whose worker is gone: silent too long, dead on this host, or killed before its first beat.

    Args:
        study: Optuna's.
        storage: its storage.
        grace_s: seconds until a silent trial counts as lost.
        observer: is told of each.
        but: workers whose death the caller looks into by itself, and can say more about.
    """
    running = [trial for trial in read_trials(study) if trial.state == TrialState.RUNNING]
    optuna.storages.fail_stale_trials(study)
    silent = set() if storage.just_back() else _without_heartbeat(storage.engine, grace_s)
    for trial in running:
        ours = trial.user_attrs.get("worker") in but
        if (worker_is_gone(trial) and not ours) or trial._trial_id in silent:
            # two coordinators may find the same trial
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        else:
            now = storage.get_trial(trial._trial_id)
            if now.state != TrialState.FAIL or "family" in now.user_attrs:  # it runs, or has failed by itself just now
                continue
        notes.save_lost(study, trial._trial_id)
        cell = trial.user_attrs.get("cell", "?")
        observer.note(f"cell {cell}: its worker {trial.user_attrs.get('worker', '')} is gone; it runs again")


def fail_attempts(study: optuna.Study, trials: Iterable[FrozenTrial], **attributes: str) -> None:
    """Fail RUNNING trials of a worker that is known to be gone.

    Args:
        study: Optuna's.
        trials: its trials.
        attributes: to store with each: `error`, and `status` where it is known; without one it was killed.
    """
    for trial in trials:
        with suppress(optuna.exceptions.UpdateFinishedTrialError):  # another coordinator was faster
            for name, value in attributes.items():
                study._storage.set_trial_user_attr(trial._trial_id, name, value)
        study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        notes.save_lost(study, trial._trial_id)


@outlasting
def _without_heartbeat(engine: Engine, grace_s: int) -> set[int]:
    # fail_stale_trials skips these: the worker was killed between the claim and its first beat
    query = text(
        "SELECT t.trial_id FROM trials t LEFT JOIN trial_heartbeats h ON h.trial_id = t.trial_id "
        "WHERE t.state = 'RUNNING' AND h.trial_id IS NULL AND t.datetime_start < :before"
    ).bindparams(bindparam("before", type_=DateTime))
    # Optuna writes UTC without a zone
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=grace_s)
    with engine.connect() as connection:
        return {row[0] for row in connection.execute(query, {"before": before})}
