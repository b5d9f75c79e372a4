"""Progress of a running trial, a system attribute of it: the dashboard's table shows none of these."""

import json

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, insert, select, update

from kernbench.store.tables.optuna_tables import TRIAL_SYSTEM_ATTRIBUTES, TRIALS
from kernbench.study.progress import Progress, read

PROGRESS = "kernbench:progress"


def write_progress(connection: Connection, trial: int, progress: Progress) -> None:
    """Store how far a running trial is, in the place of what was stored before.

    Args:
        connection: in a transaction.
        trial: its number in the database; its worker alone writes this.
        progress: of its cell.
    """
    running = select(TRIALS.c.trial_id).where(TRIALS.c.trial_id == trial, TRIALS.c.state == TrialState.RUNNING)
    if connection.execute(running).first() is None:  # another process has failed it; what is finished stays as it is
        return
    table, text = TRIAL_SYSTEM_ATTRIBUTES, json.dumps(progress.stored())
    of_trial = (table.c.trial_id == trial, table.c.key == PROGRESS)
    if not connection.execute(update(table).where(*of_trial).values(value_json=text)).rowcount:
        connection.execute(insert(table).values(trial_id=trial, key=PROGRESS, value_json=text))


def progress_of(trial: FrozenTrial) -> Progress | None:
    """What a trial has stored; None for nothing, or for what is no progress."""
    return read(trial.system_attrs.get(PROGRESS))
