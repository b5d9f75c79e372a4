"""Rows of Optuna's tables that kernbench reads and writes by SQL: queue, study attributes, artifact entries, cells."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Connection, Engine, func, insert, select, update

from kernbench.store.database.outage import outlasting
from kernbench.store.tables.optuna_tables import (
    STUDIES,
    STUDY_SYSTEM_ATTRIBUTES,
    STUDY_USER_ATTRIBUTES,
    TRIAL_SYSTEM_ATTRIBUTES,
    TRIAL_USER_ATTRIBUTES,
    TRIALS,
)


@outlasting
def studies_with(engine: Engine, key: str) -> list[str]:
    """Names of the studies that have a user attribute."""
    query = select(STUDIES.c.study_name).join(STUDY_USER_ATTRIBUTES).where(STUDY_USER_ATTRIBUTES.c.key == key)
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


@outlasting
def change_study(
    engine: Engine, study_id: int, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> None:  # Any: JSON
    """Set user attributes of a study in one step: of two concurrent changes, one follows the other.

    Args:
        engine: of the storage.
        study_id: whose.
        change: all attributes as they are -> those to set; called again after an outage.
    """
    with engine.begin() as connection:
        lock(connection, study_id)
        change_in(connection, study_id, change)


def change_in(
    connection: Connection, study_id: int, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> None:  # Any: JSON
    """The same in the transaction of a connection that holds the study's row."""
    table = STUDY_USER_ATTRIBUTES
    rows = connection.execute(select(table.c.key, table.c.value_json).where(table.c.study_id == study_id))
    known = {key: json.loads(value) for key, value in rows}
    for name, value in change(known).items():
        if name not in known:
            row = {"study_id": study_id, "key": name, "value_json": json.dumps(value)}
            connection.execute(insert(table).values(row))
        elif known[name] != value:
            of_name = (table.c.study_id == study_id, table.c.key == name)
            connection.execute(update(table).where(*of_name).values(value_json=json.dumps(value)))


def lock(connection: Connection, study_id: int) -> None:
    """Hold a study's row until the transaction ends, as Optuna does to number trials (SQLite has one writer anyway)."""
    connection.execute(select(STUDIES.c.study_id).where(STUDIES.c.study_id == study_id).with_for_update())


@outlasting
def waiting_cells(engine: Engine, study_id: int) -> set[str]:
    """Cells in the queue of a study; one query, where Optuna reads every trial of the study first."""
    with engine.connect() as connection:
        return _waiting(connection, study_id)


def _waiting(connection: Connection, study_id: int) -> set[str]:
    tags = TRIAL_USER_ATTRIBUTES
    query = (
        select(tags.c.value_json)
        .join(TRIALS)
        .where(TRIALS.c.study_id == study_id, TRIALS.c.state == TrialState.WAITING, tags.c.key == "cell")
    )
    return {json.loads(value) for value in connection.execute(query).scalars()}


@outlasting  # cells that were queued, and only the answer was lost, wait already
def queue(engine: Engine, study_id: int, cells: Sequence[str], values: Sequence[Mapping[str, Any]]) -> None:
    """Queue cells in their order, all or none, without those that wait already.

    The trials are as `enqueue_trial` makes them, which takes three statements and a commit for each.

    Args:
        engine: of the storage.
        study_id: where.
        cells: the tag of each trial.
        values: its parameters.
    """
    with engine.begin() as connection:
        lock(connection, study_id)
        waiting = _waiting(connection, study_id)
        new = {cell: value for cell, value in zip(cells, values, strict=True) if cell not in waiting}
        if new:
            count = select(func.count()).select_from(TRIALS).where(TRIALS.c.study_id == study_id)
            add_waiting(connection, study_id, connection.execute(count).scalar_one(), new)


def add_waiting(connection: Connection, study_id: int, first: int, cells: Mapping[str, Mapping[str, Any]]) -> None:
    """Insert waiting trials, numbered from `first`: cell -> parameters; see `queue`."""
    rows = [{"number": first + k, "study_id": study_id, "state": TrialState.WAITING} for k in range(len(cells))]
    made = connection.execute(insert(TRIALS).returning(TRIALS.c.trial_id, sort_by_parameter_order=True), rows)
    ids = list(made.scalars())
    for table, key, contents in (
        (TRIAL_USER_ATTRIBUTES, "cell", cells),
        (TRIAL_SYSTEM_ATTRIBUTES, "fixed_params", cells.values()),
    ):
        pairs = zip(ids, contents, strict=True)
        texts = [{"trial_id": trial, "key": key, "value_json": json.dumps(content)} for trial, content in pairs]
        connection.execute(insert(table), texts)


def lock_trials(connection: Connection, study_id: int) -> None:
    """Hold all trials of a study until the transaction ends: none is claimed or ended meanwhile."""
    connection.execute(select(TRIALS.c.trial_id).where(TRIALS.c.study_id == study_id).with_for_update())


def mark(connection: Connection, trials: Sequence[int], name: str, value: str) -> None:
    """Give trials a user attribute that they do not have yet, finished ones, too, which Optuna itself would refuse.

    Args:
        connection: in a transaction that holds them.
        trials: their numbers in the database.
        name: of the attribute.
        value: text.
    """
    rows = [{"trial_id": trial, "key": name, "value_json": json.dumps(value)} for trial in trials]
    if rows:
        connection.execute(insert(TRIAL_USER_ATTRIBUTES), rows)


def end_waiting(connection: Connection, trials: Sequence[int], when: datetime) -> None:
    """Take waiting trials out of the queue, as the queue itself drops what is not asked for: they are pruned."""
    for trial in trials:
        ended = update(TRIALS).where(TRIALS.c.trial_id == trial, TRIALS.c.state == TrialState.WAITING)
        connection.execute(ended.values(state=TrialState.PRUNED, datetime_complete=when))


@outlasting
def marked_trials(engine: Engine, study_id: int, name: str) -> set[int]:
    """Numbers, within their study, of the trials that have a user attribute, also where Optuna has cached them."""
    query = select(TRIALS.c.number).join(TRIAL_USER_ATTRIBUTES)
    of_study = (TRIALS.c.study_id == study_id, TRIAL_USER_ATTRIBUTES.c.key == name)
    with engine.connect() as connection:
        return set(connection.execute(query.where(*of_study)).scalars())


def system_attributes(connection: Connection, study: str, prefix: str) -> list[tuple[str, Any]]:  # Any: JSON
    """System attributes of a study and of all its trials whose key begins so: key and value.

    Args:
        connection: to the database.
        study: name.
        prefix: of the key.
    """
    of_study, of_trial = STUDY_SYSTEM_ATTRIBUTES, TRIAL_SYSTEM_ATTRIBUTES
    found: list[tuple[str, Any]] = []
    for table, joined in ((of_study, STUDIES.join(of_study)), (of_trial, STUDIES.join(TRIALS).join(of_trial))):
        query = select(table.c.key, table.c.value_json).select_from(joined)
        rows = connection.execute(query.where(STUDIES.c.study_name == study, table.c.key.startswith(prefix)))
        found += [(key, json.loads(value)) for key, value in rows]
    return found


def system_keys(connection: Connection, prefix: str) -> set[str]:
    """Keys of system attributes that begin so, of all studies and trials, those that are not ours, too."""
    keys = (STUDY_SYSTEM_ATTRIBUTES.c.key, TRIAL_SYSTEM_ATTRIBUTES.c.key)
    found = [connection.execute(select(key).where(key.startswith(prefix))).scalars() for key in keys]
    return {key for each in found for key in each}


def cells_of_trials(connection: Connection) -> set[tuple[str, str]]:
    """Study and cell of every trial that names one."""
    tags = TRIAL_USER_ATTRIBUTES
    query = (
        select(STUDIES.c.study_name, tags.c.value_json)
        .select_from(STUDIES.join(TRIALS).join(tags))
        .where(tags.c.key == "cell")
        .distinct()
    )
    return {(study, str(json.loads(cell))) for study, cell in connection.execute(query)}
