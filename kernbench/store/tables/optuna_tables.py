"""Trials of a study by plain SQL, for reading: Optuna makes an object of every attribute, ten times slower."""

import functools
import json
from collections.abc import Callable
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages._rdb import models  # Optuna's tables, of the version that this Optuna works with
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, Table, select

from kernbench.store.database.outage import outlasting

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


def read_trials(study: optuna.Study) -> list[FrozenTrial]:
    """All trials of a stored study as Optuna's `get_trials` gives them, by number.

    The intermediate values of complete and pruned trials are left out: of long trainings they are most of a database.

    Args:
        study: in a database.
    """
    return _read(engine_of(study), study._study_id)


@outlasting
def _read(engine: Engine, study_id: int) -> list[FrozenTrial]:
    with engine.connect() as connection:
        return _trials(connection, study_id)


def engine_of(study: optuna.Study) -> Engine:
    """The database that a study was opened in."""
    engine: Engine = study._storage._backend.engine  # type: ignore[attr-defined]  # behind Optuna's cache
    return engine


def _trials(connection: Connection, study_id: int) -> list[FrozenTrial]:
    trials = table_of(models.TrialModel)
    shown = (trials.c.trial_id, trials.c.number, trials.c.state, trials.c.datetime_start, trials.c.datetime_complete)
    query = select(*shown).where(trials.c.study_id == study_id).order_by(trials.c.number)
    found = {
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

    def rows(model: Any, *columns: str, but: tuple[TrialState, ...] = ()) -> Any:  # Any: rows of several types
        table = table_of(model)
        query = select(table.c.trial_id, *(table.c[name] for name in columns))
        query = query.join(trials, trials.c.trial_id == table.c.trial_id).where(trials.c.study_id == study_id)
        if but:
            query = query.where(trials.c.state.not_in(but))
        found_rows = connection.execute(query.order_by(table.primary_key.columns[0]))
        return (row for row in found_rows if row[0] in found)  # not of a trial that was made meanwhile

    for trial, key, value in rows(models.TrialUserAttributeModel, "key", "value_json"):
        found[trial].user_attrs[key] = json.loads(value)
    for trial, key, value in rows(models.TrialSystemAttributeModel, "key", "value_json"):
        found[trial].system_attrs[key] = json.loads(value)
    distribution = functools.cache(json_to_distribution)  # the same few for all trials
    for trial, name, value, text in rows(models.TrialParamModel, "param_name", "param_value", "distribution_json"):
        _add_param(found[trial], name, value, distribution(text))
    read_value: Callable[..., float] = models.TrialValueModel.stored_repr_to_value
    for trial, value, kind in rows(models.TrialValueModel, "value", "value_type"):  # kernbench's studies have one
        found[trial].value = read_value(value, kind)
    read_step: Callable[..., float] = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
    columns = ("step", "intermediate_value", "intermediate_value_type")
    for trial, step, value, kind in rows(models.TrialIntermediateValueModel, *columns, but=ENDED):
        found[trial].intermediate_values[step] = read_step(value, kind)
    return list(found.values())


def _add_param(trial: FrozenTrial, name: str, value: float, distribution: BaseDistribution) -> None:
    trial.params[name] = distribution.to_external_repr(value)
    trial.distributions[name] = distribution


def table_of(model: Any) -> Table:  # Any: Optuna's models have no common type of ours
    """The table behind one of Optuna's models."""
    table: Table = model.__table__
    return table
