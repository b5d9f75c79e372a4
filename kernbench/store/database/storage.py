"""Optuna's storage, whose heartbeats and calls outlive a database that is unavailable for a while.

It subclasses Optuna's and so must override private methods (`_get_stale_trial_ids`, and those named at the end of this
file): beside `kernbench.store.tables.optuna_tables` it is the only file that knows private names of Optuna.
"""

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import TrialState
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from kernbench.store.database.outage import Outages, is_outage, outlasting

log = logging.getLogger("kernbench")

_KNOWN_REVISIONS: set[str] = set()  # of Optuna's tables, which the Optuna of this process can use
SETTLING_BEATS = 2  # heartbeats after an outage until silence counts: every worker has beaten again by then


class SteadyStorage(optuna.storages.RDBStorage):
    """RDBStorage whose heartbeat starts with the claim, and which waits for a database that is unavailable for a while.

    Attributes:
        outages: what is known of outages; shared with the result tables of the same engine.
        beside: trial id -> what is written in the transaction of its next heartbeat or score, and dropped then;
            it is for show, so what fails is left out.
    """

    def __init__(self, url: str, outages: Outages, engine_kwargs: Mapping[str, Any], **options: Any) -> None:
        self.outages = outages
        self.beside: dict[int, Callable[[Connection], None]] = {}
        self._ahead, self._jumped = _clock_ahead(), float("-inf")
        options |= {"skip_compatibility_check": True}
        super().__init__(url, {**engine_kwargs, "execution_options": {"outages": outages}}, **options)
        self._check_revision()

    def _check_revision(self) -> None:
        """Let Optuna refuse tables of another release; it loads all its migrations for that, so only once a revision.

        Raises:
            RuntimeError: Optuna's own, with what to do.
        """
        revision = self._version_manager.get_current_version()
        if revision not in _KNOWN_REVISIONS:
            self._version_manager.check_table_schema_compatibility()
            _KNOWN_REVISIONS.add(revision)

    def close(self) -> None:
        """Close the connections to the database; the next call opens new ones."""
        self.remove_session()
        self.engine.dispose()

    def record_heartbeat(self, trial_id: int) -> None:
        """Write a heartbeat; a storage error is logged, and the next beat tries again."""
        try:
            self._accompany(trial_id)
            super().record_heartbeat(trial_id)
        except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
            if is_outage(error):
                self.outages.does_not_answer(error)
            else:
                log.warning("heartbeat of trial id %d not written, trying again", trial_id)
        else:
            self.outages.answers()

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Store the score of an epoch."""

        def store() -> None:
            self._accompany(trial_id)
            super(SteadyStorage, self).set_trial_intermediate_value(trial_id, step, intermediate_value)

        self.outages.outlast(store)

    def _accompany(self, trial_id: int) -> None:
        """Write what is `beside` a trial in the transaction that the next call of this thread ends.

        Raises:
            SQLAlchemyError: the database is unavailable, so that the next call would fail, too.
        """
        write = self.beside.pop(trial_id, None)
        if write is None:
            return
        session = self.scoped_session()  # of this thread; Optuna's methods take the same one, commit and close it
        try:
            with session.begin_nested():  # what fails inside is undone, the transaction goes on
                write(session.connection())
        except Exception as error:
            session.rollback()
            session.close()
            if is_outage(error):
                raise
            log.debug("progress of trial id %d not written: %s", trial_id, error)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Any = None) -> bool:
        """Change a trial's state; a claim is followed by its first heartbeat immediately."""
        calls = 0

        def change() -> bool:
            nonlocal calls
            calls += 1
            try:
                return super(SteadyStorage, self).set_trial_state_values(trial_id, state, values)
            except optuna.exceptions.UpdateFinishedTrialError:
                if calls > 1 and self._holds(trial_id, state, values):  # done, and only the answer was lost
                    return True
                raise

        changed = self.outages.outlast(change)
        if changed and state == TrialState.RUNNING:
            # fail_stale_trials skips RUNNING trials that never had a heartbeat
            self.record_heartbeat(trial_id)
        return changed

    def _holds(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> bool:
        trial = self.get_trial(trial_id)
        return trial.state == state and (values is None or trial.values == list(values))

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Trials whose worker went silent; none while no heartbeat could be stored."""
        if self.just_back():
            return []
        return self.outages.outlast(lambda: super(SteadyStorage, self)._get_stale_trial_ids(study_id))

    def just_back(self) -> bool:
        """Whether the database was unavailable a moment ago, so that silence says nothing about a worker.

        A clock that was set forward, or a machine that has slept, makes every heartbeat seem old, too.
        """
        settled_s = SETTLING_BEATS * (self.heartbeat_interval or 0)
        before, self._ahead = self._ahead, _clock_ahead()
        if self._ahead - before > (self.heartbeat_interval or 0):
            self._jumped = time.monotonic()
        if time.monotonic() - self._jumped < settled_s:
            return True
        if self.outages.ended is not None and time.monotonic() - self.outages.ended < settled_s:
            return True
        return self.engine.name == "postgresql" and _server_age(self.engine) < settled_s


def _clock_ahead() -> float:
    """Wall clock minus monotonic clock [s]; it jumps where the clock is set or the machine has slept."""
    return time.time() - time.monotonic()


def _waits(name: str) -> Callable[..., Any]:
    """A method of RDBStorage that waits while the database is unavailable."""
    usual = getattr(optuna.storages.RDBStorage, name)

    @functools.wraps(usual)
    def call(self: SteadyStorage, *args: Any, **kwargs: Any) -> Any:  # Any: as Optuna has it
        return self.outages.outlast(lambda: getattr(super(SteadyStorage, self), name)(*args, **kwargs))

    return call


# All may be repeated: they read, or write the same again. A trial that is queued twice is pruned at its claim,
# a claim whose answer was lost is found by its missing heartbeat.
_PUBLIC = {name for name in vars(optuna.storages.BaseStorage) if not name.startswith("_")}
_OTHERS = {"set_trial_state_values", "set_trial_intermediate_value"}
_OTHERS |= {"delete_study", "remove_session", "check_trial_is_updatable"}
for _name in _PUBLIC - _OTHERS | {"_create_new_trial", "_set_trial_param", "_get_trials", "_get_best_trial_id"}:
    setattr(SteadyStorage, _name, _waits(_name))


@outlasting
def _server_age(engine: Engine) -> float:
    """Seconds since the server started."""
    with engine.connect() as connection:
        query = text("SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())")
        return float(connection.execute(query).scalar_one())
