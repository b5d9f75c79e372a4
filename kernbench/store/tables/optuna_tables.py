"""Optuna's tables and what its objects hide: the only file that imports its private models or touches private names.

Optuna offers no public way to its tables, ids or engine. A release that moves them changes this file alone; a test
checks that no other file of the package knows them.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

import optuna
from optuna.distributions import json_to_distribution
from optuna.storages import BaseStorage
from optuna.storages._rdb import models  # Optuna's tables, of the version that this Optuna works with
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import Connection, Engine, Table, select

from kernbench.store.database.outage import outlasting


def table_of(model: Any) -> Table:  # Any: Optuna's models have no common type of ours
    """The table behind a mapped class, one of Optuna's or ours."""
    table: Table = model.__table__
    return table


STUDIES = table_of(models.StudyModel)
STUDY_USER_ATTRIBUTES = table_of(models.StudyUserAttributeModel)
STUDY_SYSTEM_ATTRIBUTES = table_of(models.StudySystemAttributeModel)
TRIALS = table_of(models.TrialModel)
TRIAL_USER_ATTRIBUTES = table_of(models.TrialUserAttributeModel)
TRIAL_SYSTEM_ATTRIBUTES = table_of(models.TrialSystemAttributeModel)
HEARTBEATS = table_of(models.TrialHeartbeatModel)
_PARAMS, _VALUES = table_of(models.TrialParamModel), table_of(models.TrialValueModel)
_CURVES = table_of(models.TrialIntermediateValueModel)
# Tables whose rows belong to a study and to a trial, without heartbeats: only running trials have one.
OF_STUDIES = (table_of(models.StudyDirectionModel), STUDY_USER_ATTRIBUTES, STUDY_SYSTEM_ATTRIBUTES)
OF_TRIALS = (TRIAL_USER_ATTRIBUTES, TRIAL_SYSTEM_ATTRIBUTES, _PARAMS, _VALUES, _CURVES)


def read_trials(study: optuna.Study) -> list[FrozenTrial]:
    """All trials of a stored study as Optuna's `get_trials` gives them, by number.

    The intermediate values of complete and pruned trials are left out: of long trainings they are most of a database.

    Args:
        study: in a database.
    """
    return _read(engine_of(study), study_id(study))


def study_id(study: optuna.Study | FrozenStudy) -> int:
    """Number of a study in its database, which its rows have."""
    return study._study_id


def trial_id(trial: FrozenTrial | Trial) -> int:
    """Number of a trial in its database, which its rows have; `trial.number` counts within the study."""
    return trial._trial_id


def storage_of(study: optuna.Study) -> BaseStorage:
    """What a study asks: Optuna's cache of finished trials, and the storage behind it."""
    return study._storage


def engine_of(study: optuna.Study) -> Engine:
    """The database that a study was opened in."""
    engine: Engine = study._storage._backend.engine  # type: ignore[attr-defined]  # behind Optuna's cache
    return engine


def close(study: optuna.Study) -> None:
    """Close the connections to the database that a study was opened in; the next call opens new ones."""
    storage_of(study).remove_session()
    engine_of(study).dispose()


def _without_attributes(connection: Connection, study_id: int) -> dict[int, FrozenTrial]:
    """Trial id -> trial, by number."""
    shown = (TRIALS.c.trial_id, TRIALS.c.number, TRIALS.c.state, TRIALS.c.datetime_start, TRIALS.c.datetime_complete)
    query = select(*shown).where(TRIALS.c.study_id == study_id).order_by(TRIALS.c.number)
    return {
        number: FrozenTrial(
            number=place,
            state=state,
            value=None,
            datetime_start=start,
            datetime_complete=complete,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
            trial_id=number,
        )
        for number, place, state, start, complete in connection.execute(query)
    }


@outlasting
def _read(engine: Engine, study_id: int) -> list[FrozenTrial]:
    with engine.connect() as connection:
        return trials_in(connection, study_id)


def trials_in(connection: Connection, study_id: int) -> list[FrozenTrial]:
    """The same as `read_trials`, as a transaction sees them."""
    found = _without_attributes(connection, study_id)

    def rows(table: Table, *columns: str, but: tuple[TrialState, ...] = ()) -> Any:  # Any: rows of several types
        query = select(table.c.trial_id, *(table.c[name] for name in columns))
        query = query.join(TRIALS).where(TRIALS.c.study_id == study_id)
        ordered = query.where(TRIALS.c.state.not_in(but)).order_by(table.primary_key.columns[0])
        return (row for row in connection.execute(ordered) if row[0] in found)  # not of a trial made meanwhile

    for trial, key, value in rows(TRIAL_USER_ATTRIBUTES, "key", "value_json"):
        found[trial].user_attrs[key] = json.loads(value)
    for trial, key, value in rows(TRIAL_SYSTEM_ATTRIBUTES, "key", "value_json"):
        found[trial].system_attrs[key] = json.loads(value)
    distribution = functools.cache(json_to_distribution)  # the same few for all trials
    for trial, name, value, text in rows(_PARAMS, "param_name", "param_value", "distribution_json"):
        found[trial].distributions[name] = distribution(text)
        found[trial].params[name] = distribution(text).to_external_repr(value)
    read_value: Callable[..., float] = models.TrialValueModel.stored_repr_to_value
    for trial, value, kind in rows(_VALUES, "value", "value_type"):  # kernbench's studies have one
        found[trial].value = read_value(value, kind)
    read_step: Callable[..., float] = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
    columns = ("step", "intermediate_value", "intermediate_value_type")
    scored = (TrialState.COMPLETE, TrialState.PRUNED)
    for trial, step, value, kind in rows(_CURVES, *columns, but=scored):
        found[trial].intermediate_values[step] = read_step(value, kind)
    return list(found.values())
