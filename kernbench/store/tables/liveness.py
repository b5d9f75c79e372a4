"""RUNNING trials of a study, and how long ago the worker of each was heard of."""

from datetime import UTC, datetime, timedelta

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, func, select

from kernbench.store.database.outage import outlasting
from kernbench.store.tables.optuna_tables import HEARTBEATS, STUDIES, TRIALS


def running_trials(connection: Connection, study: optuna.Study) -> list[tuple[FrozenTrial, float]]:
    """RUNNING trials of a study, as the connection sees them.

    Args:
        connection: to its database, in UTC.
        study: opened for reading.

    Returns:
        Each trial as Optuna gives it, and the seconds since its last heartbeat, or since its start without one, by the
        database's clock.
    """
    query = (
        select(TRIALS.c.number, func.coalesce(HEARTBEATS.c.heartbeat, TRIALS.c.datetime_start))
        .select_from(STUDIES.join(TRIALS).outerjoin(HEARTBEATS))
        .where(STUDIES.c.study_name == study.study_name, TRIALS.c.state == TrialState.RUNNING)
    )
    now = utc_now(connection)
    found = connection.execute(query).all()
    # read after them: one that was made meanwhile must not be missing here
    by_number = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    return [(by_number[number], (now - last).total_seconds()) for number, last in found]


def utc_now(connection: Connection) -> datetime:
    """The database's clock, UTC without a zone, as Optuna writes it."""
    now: datetime = connection.execute(select(func.now())).scalar_one()
    return now.replace(tzinfo=None)


@outlasting
def silent_seconds(engine: Engine) -> dict[int, float]:
    """Seconds since the last heartbeat of every RUNNING trial that had one, by trial id and the database's clock."""
    query = select(HEARTBEATS.c.trial_id, HEARTBEATS.c.heartbeat).join(TRIALS)
    with engine.connect() as connection:
        beats = connection.execute(query.where(TRIALS.c.state == TrialState.RUNNING)).all()
        now = utc_now(connection)
    return {trial: (now - beat).total_seconds() for trial, beat in beats}


@outlasting
def never_heard(engine: Engine, grace_s: float) -> set[int]:
    """Ids of RUNNING trials that began longer ago and never had a heartbeat: killed between claim and first beat."""
    query = (
        select(TRIALS.c.trial_id)
        .outerjoin(HEARTBEATS)
        .where(TRIALS.c.state == TrialState.RUNNING, HEARTBEATS.c.trial_id.is_(None))
    )
    # Optuna writes UTC without a zone
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=grace_s)
    with engine.connect() as connection:
        return set(connection.execute(query.where(TRIALS.c.datetime_start < before)).scalars())
