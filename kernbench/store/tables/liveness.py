"""RUNNING trials of a study, and whether a worker still stands behind each."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, func, select, text

from kernbench.store.database.outage import outlasting
from kernbench.store.tables.cell_states import worker_is_gone
from kernbench.store.tables.optuna_tables import table_of


@dataclass(frozen=True)
class Running:
    """A RUNNING trial.

    Attributes:
        trial: as Optuna gives it.
        silent_s: seconds since its last heartbeat, or since its start without one, by the database's clock.
    """

    trial: FrozenTrial
    silent_s: float


def running_trials(connection: Connection, study: optuna.Study) -> list[Running]:
    """RUNNING trials of a study, as the connection sees them.

    Args:
        connection: to its database, in UTC.
        study: opened for reading.
    """
    trials, beats = table_of(models.TrialModel), table_of(models.TrialHeartbeatModel)
    query = (
        select(trials.c.number, func.coalesce(beats.c.heartbeat, trials.c.datetime_start))
        .join(models.StudyModel, models.StudyModel.study_id == trials.c.study_id)
        .outerjoin(beats, beats.c.trial_id == trials.c.trial_id)
        .where(models.StudyModel.study_name == study.study_name, trials.c.state == TrialState.RUNNING)
    )
    now = utc_now(connection)
    found = connection.execute(query).all()
    # read after them: one that was made meanwhile must not be missing here
    by_number = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    return [Running(by_number[number], (now - last).total_seconds()) for number, last in found]


def utc_now(connection: Connection) -> datetime:
    """The database's clock, UTC without a zone, as Optuna writes it."""
    now: datetime = connection.execute(select(func.now())).scalar_one()
    return now.replace(tzinfo=None)


def is_live(running: Running, grace_s: float) -> bool:
    """Whether a worker may still be at it: not known to be gone, and heard of within the grace period."""
    return not worker_is_gone(running.trial) and running.silent_s <= grace_s


@outlasting
def silent_seconds(engine: Engine) -> dict[int, float]:
    """Seconds since the last heartbeat of every RUNNING trial that had one, by trial id and the database's clock."""
    query = text(
        "SELECT h.trial_id, h.heartbeat, CURRENT_TIMESTAMP FROM trial_heartbeats h "
        "JOIN trials t ON t.trial_id = h.trial_id WHERE t.state = 'RUNNING'"
    )
    with engine.connect() as connection:
        return {row[0]: (_naive(row[2]) - _naive(row[1])).total_seconds() for row in connection.execute(query)}


def _naive(moment: Any) -> datetime:  # Any: SQLite gives text, PostgreSQL a datetime, now and then with a zone
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    # heartbeats carry no zone and are UTC
    return read if read.tzinfo is None else read.astimezone(UTC).replace(tzinfo=None)
