"""Trials that their workers left behind: found, failed, and so open for the next attempt."""

from datetime import datetime, timedelta

import optuna
from optuna.trial import TrialState
from sqlalchemy import DateTime, bindparam, text

from kernbench.engine.cell import Observer
from kernbench.engine.states import worker_is_gone
from kernbench.engine.storage import SteadyStorage


def recover(study: optuna.Study, storage: SteadyStorage, grace_s: int, observer: Observer) -> None:
    """Fail RUNNING trials whose worker is gone: silent too long, dead on this host, or killed before its first beat."""
    optuna.storages.fail_stale_trials(study)
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    silent = _without_heartbeat(storage, grace_s)
    for trial in running:
        if worker_is_gone(trial) or trial._trial_id in silent:
            # two coordinators may find the same trial
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            cell = trial.user_attrs.get("cell", "?")
            observer.note(f"cell {cell}: its worker {trial.user_attrs.get('worker', '')} is gone; it runs again")


def _without_heartbeat(storage: SteadyStorage, grace_s: int) -> set[int]:
    # fail_stale_trials skips these: the worker was killed between the claim and its first beat
    query = text(
        "SELECT t.trial_id FROM trials t LEFT JOIN trial_heartbeats h ON h.trial_id = t.trial_id "
        "WHERE t.state = 'RUNNING' AND h.trial_id IS NULL AND t.datetime_start < :before"
    ).bindparams(bindparam("before", type_=DateTime))
    # Optuna writes local time without a zone
    before = datetime.now() - timedelta(seconds=grace_s)
    with storage.engine.connect() as connection:
        return {row[0] for row in connection.execute(query, {"before": before})}
