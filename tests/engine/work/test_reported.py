"""Progress of a running cell in the database: written with what is written anyway, seen by others, never in the way."""

import sqlite3

import fakes
import optuna
import pytest
from fakes import NINE
from sqlalchemy import event

from kernbench.engine.work import reported
from kernbench.store.database.opening import read_storage
from kernbench.store.reading.runs import stored_states, stored_studies
from kernbench.store.tables import trial_progress
from kernbench.study.progress import Progress


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    """No epoch is too soon after the last one."""
    monkeypatch.setattr(reported, "BETWEEN_S", 0.0)


def progress_seen(world):
    """What another process reads of the first cell."""
    [study] = stored_studies(world.url)
    return stored_states(study)[0]


def test_a_score_takes_the_progress_along_and_status_sees_it(world):
    seen = []

    def compute(context):
        for epoch in (1, 2):
            context.observer.epoch(epoch, 4, 0.5 / epoch, 0.1, 3.0 * epoch)
            context.report(epoch - 1, 0.1)
            seen.append(progress_seen(world))
        return fakes.outcome()

    world.run(world.study([9]), compute)
    assert [state.progress for state in seen] == [Progress(1, 4, 0.5, 9.0), Progress(2, 4, 0.25, 6.0)]
    assert ", epoch 2 of 4, loss 0.2500, 6 s left, last heartbeat" in seen[1].detail
    assert progress_seen(world).progress is None  # it is done
    assert world.trials()[0].intermediate_values == {0: 0.1, 1: 0.1}


def test_a_heartbeat_takes_the_progress_along(world):
    seen = []

    def compute(context):
        [trial_id] = storages[0].beside or [None]
        assert trial_id is None  # nothing to say yet
        context.observer.epoch(3, 4, 0.5, None, 9.0)  # an epoch without validation writes nothing
        seen.append(progress_seen(world).progress)
        [trial_id] = storages[0].beside
        storages[0].record_heartbeat(trial_id)
        assert storages[0].beside == {}
        seen.append(progress_seen(world).progress)
        return fakes.outcome()

    storages = []
    usual = reported.Reported.__init__

    def remember(self, shown, storage, trial):
        storages.append(storage)
        usual(self, shown, storage, trial)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reported.Reported, "__init__", remember)
        world.run(world.study([9]), compute)
    assert seen == [None, Progress(3, 4, 0.5, 3.0)]


def claimed(world, storage):
    """A trial of a queue of one cell; without the heartbeat's thread, which would write what a test counts."""
    opened = world.optuna_study(fakes.prepared(world, [9]), storage)
    return optuna.Trial(opened, opened._pop_waiting_trial_id())


def test_an_epoch_adds_no_transaction(sqlite_world):
    world, commits = sqlite_world, []
    storage = world.storage()
    trial = claimed(world, storage)
    watched = reported.Reported(fakes.Silent(), storage, trial)
    event.listen(storage.engine, "commit", lambda _connection: commits.append(1))
    counts = []
    for epoch in (1, 2):
        commits.clear()
        watched.epoch(epoch, 4, 0.5, 0.1, 1.0)
        between = len(commits)
        trial.report(0.1, epoch)
        counts.append((between, len(commits)))
    commits.clear()
    trial.report(0.1, 3)  # without progress
    assert counts == [(0, len(commits))] * 2
    assert read_storage(world.url).get_trial(trial._trial_id).system_attrs[trial_progress.PROGRESS]["epoch"] == 2


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), ValueError("sick")])
def test_progress_that_cannot_be_written_costs_neither_the_score_nor_the_heartbeat(world, monkeypatch, error):
    def fail(connection, **_words):
        connection.exec_driver_sql("DELETE FROM trial_heartbeats")  # undone with it
        raise error

    monkeypatch.setattr(reported, "write_progress", fail)

    def compute(context):
        context.observer.epoch(1, 4, 0.5, 0.1, 1.0)
        context.report(0, 0.25)
        context.observer.epoch(2, 4, "no number", None, 1.0)
        context.observer.epoch(0, 4, 0.5, None, 0.0)  # divides by nothing
        assert "last heartbeat" in progress_seen(world).detail
        return fakes.outcome()

    result = world.run(world.study([9]), compute)
    assert world.states(result) == {NINE: "done"}
    assert world.trials()[0].intermediate_values == {0: 0.25}


def test_a_finished_trial_takes_no_progress(world):
    storage = world.storage()
    trial = claimed(world, storage)
    reported.Reported(fakes.Silent(), storage, trial).epoch(1, 4, 0.5, 0.1, 1.0)
    storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL)  # as if another process had failed it
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        storage.set_trial_intermediate_value(trial._trial_id, 0, 0.1)
    assert trial_progress.PROGRESS not in world.trials()[-1].system_attrs
