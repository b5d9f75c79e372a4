"""The queue of a study: cells go in whole and tagged, come back when cut off, leave when not asked for."""

import json
from collections.abc import Collection, Sequence

import optuna
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, func, insert, select

from kernbench.engine.queue.draws import queued_values
from kernbench.store.database.outage import outlasting
from kernbench.store.database.storage import SteadyStorage
from kernbench.store.tables.cell_states import cell_states, worker_is_gone
from kernbench.store.tables.optuna_tables import engine_of, read_trials, table_of
from kernbench.study.study import Params, Study


def enqueue_all(optuna_study: optuna.Study, study: Study, cells: Sequence[str]) -> None:
    """Queue cells in this order, all or none, each tagged, so that nothing but the cell is ever run.

    A cell that waits already stays where it is: two workers that leave at once both see what both have left.
    """
    if not cells:
        return
    attempts: dict[str, list[FrozenTrial]] = {}
    for trial in read_trials(optuna_study) if study.tuning is not None else []:
        attempts.setdefault(str(trial.user_attrs.get("cell")), []).append(trial)
    values = [queued_values(study, attempts.get(cell, []), cell) for cell in cells]
    _queue(engine_of(optuna_study), optuna_study._study_id, cells, values)


@outlasting  # what was queued, and only the answer was lost, waits already
def _queue(engine: Engine, study_id: int, cells: Sequence[str], values: Sequence[Params]) -> None:
    with engine.begin() as connection:
        _insert(connection, study_id, cells, values)


def _insert(connection: Connection, study_id: int, cells: Sequence[str], values: Sequence[Params]) -> None:
    """Waiting trials as `enqueue_trial` makes them; that takes three statements and a commit for each."""
    trials, studies = table_of(models.TrialModel), table_of(models.StudyModel)
    # as Optuna: whoever holds the study's row may number trials (SQLite has one writer at a time anyway)
    connection.execute(select(studies.c.study_id).where(studies.c.study_id == study_id).with_for_update())
    waiting = _waiting_cells(connection, study_id)
    new = [(cell, value) for cell, value in zip(cells, values, strict=True) if cell not in waiting]
    if not new:
        return
    count = select(func.count()).select_from(trials).where(trials.c.study_id == study_id)
    first = connection.execute(count).scalar_one()
    rows = [{"number": first + k, "study_id": study_id, "state": TrialState.WAITING} for k in range(len(new))]
    made = connection.execute(insert(trials).returning(trials.c.trial_id, sort_by_parameter_order=True), rows)
    ids = list(made.scalars())
    for model, key, contents in (
        (models.TrialUserAttributeModel, "cell", [cell for cell, _ in new]),
        (models.TrialSystemAttributeModel, "fixed_params", [value for _, value in new]),
    ):
        pairs = zip(ids, contents, strict=True)
        texts = [{"trial_id": trial, "key": key, "value_json": json.dumps(content)} for trial, content in pairs]
        connection.execute(insert(table_of(model)), texts)


def _waiting_cells(connection: Connection, study_id: int) -> set[str]:
    trials, tags = table_of(models.TrialModel), table_of(models.TrialUserAttributeModel)
    query = (
        select(tags.c.value_json)
        .join(trials, trials.c.trial_id == tags.c.trial_id)
        .where(trials.c.study_id == study_id, trials.c.state == TrialState.WAITING, tags.c.key == "cell")
    )
    return {json.loads(value) for value in connection.execute(query).scalars()}


def requeue(optuna_study: optuna.Study, study: Study, cells: Collection[str]) -> list[str]:
    """Queue what may be tried again by itself: cells never tried, interrupted, or killed and not held.

    Args:
        optuna_study: Optuna's.
        study: the study.
        cells: those to look at.

    Returns:
        What was queued.
    """
    states = cell_states(cells, read_trials(optuna_study))
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
    """Cells in the queue; one query, where Optuna reads every trial of the study first."""
    return _read_waiting(engine_of(optuna_study), optuna_study._study_id)


@outlasting
def _read_waiting(engine: Engine, study_id: int) -> set[str]:
    with engine.connect() as connection:
        return _waiting_cells(connection, study_id)


def is_asked_for(optuna_study: optuna.Study, cell: str) -> bool:
    """Whether any run of a study has ever asked for a cell, by now."""
    return cell in json.loads(optuna_study.user_attrs.get("cells", "[]"))


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
        if cell is not None and cell not in cells and claim(storage, trial._trial_id):
            optuna_study.tell(trial.number, state=TrialState.PRUNED, skip_if_finished=True)


def claim(storage: SteadyStorage, trial_id: int) -> bool:
    """Take a waiting trial; false when somebody else was faster."""
    try:
        return storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    except optuna.exceptions.UpdateFinishedTrialError:  # and has ended it
        return False
